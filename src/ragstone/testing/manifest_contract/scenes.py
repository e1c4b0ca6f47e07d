"""Short words for the scenes of the manifest's contract: upload, claim, index, purge."""

import hashlib
from typing import Any

from ragstone.core.models import (
    DEFAULT_TENANT,
    Acceptance,
    Document,
    Failure,
    IndexedVersion,
    IngestTask,
    NewUpload,
    PurgeReceipt,
    Scope,
)
from ragstone.core.ports import Manifest

SCOPE = Scope()
TENANT = DEFAULT_TENANT
FAILURE = Failure("parse_failed", "the document is damaged", page=2)


def sha256_of(content: str) -> str:
    """The content hash as the manifest sees it."""
    return hashlib.sha256(content.encode()).hexdigest()


def new_upload(source: str | None = "a.txt", content: str = "first", **fields: Any) -> NewUpload:
    """An upload of `content`, named by its source unless a filename is given."""
    known: dict[str, Any] = {
        "scope": SCOPE,
        "media_type": "text/plain",
        "filename": source,
        "title": None,
        "metadata": None,
    }
    return NewUpload(
        sha256=sha256_of(content), bytes=len(content.encode()), source=source, **(known | fields)
    )


async def keep_blob() -> None:
    """Confirms a blob that no test needs to exist."""


async def upload(
    manifest: Manifest, source: str | None = "a.txt", content: str = "first", **fields: Any
) -> Acceptance:
    """Accept an upload."""
    return await manifest.accept_upload(new_upload(source, content, **fields), keep_blob)


async def claim(manifest: Manifest) -> IngestTask:
    """Claim the one task that is due."""
    (task,) = await manifest.claim_tasks(10)
    return task


def indexed(task: IngestTask, **facts: Any) -> IndexedVersion:
    """The claimed task's version, as if its points were confirmed."""
    known: dict[str, Any] = {
        "title": task.title or task.filename or "Untitled",
        "text_sha256": sha256_of(f"text of {task.sha256}"),
        "characters": 100,
        "chunks": 3,
        "pages": None,
        "encoding": "utf-8",
        "stage_ms": {"parse": 1.5},
    }
    return IndexedVersion(
        job_id=task.job.id, document_id=task.document_id, version=task.version, **(known | facts)
    )


async def finish(manifest: Manifest, **facts: Any) -> list[str]:
    """Claim all that is due and switch to it; returns the jobs that were switched."""
    tasks = await manifest.claim_tasks(1_000)
    return await manifest.switch_versions([indexed(task, **facts) for task in tasks])


async def make_ready(
    manifest: Manifest, source: str | None = "a.txt", content: str = "first", **fields: Any
) -> Document:
    """Upload, ingest, switch; nothing else may be due."""
    accepted = await upload(manifest, source, content, **fields)
    await finish(manifest)
    return await manifest.get_document(accepted.document.tenant_id, accepted.document.id)


async def purge_all(manifest: Manifest) -> tuple[list[PurgeReceipt], list[str]]:
    """Finish all purges that wait; returns the receipts and the blobs that went."""
    deleted: list[str] = []

    async def delete_blob(sha256: str) -> bool:
        deleted.append(sha256)
        return True

    targets = await manifest.purge_targets(1_000)
    return [await manifest.finish_purge(target, 3, delete_blob) for target in targets], deleted
