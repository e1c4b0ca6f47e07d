"""Random lives of a manifest: one operation after the other against a model, and many at once."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from ragstone.core.errors import Conflict, DocumentExists, VersionNotFound
from ragstone.core.models import (
    DocumentStatus,
    Failure,
    IngestTask,
    JobState,
    NewContent,
    OnDuplicate,
)
from ragstone.storage.blobs import FileBlobStore
from ragstone.storage.manifest import SqlManifest, open_manifest
from ragstone.testing.manifest_contract.lists import all_documents
from ragstone.testing.manifest_contract.rest import assert_at_rest, ingest_all, purge_all_with
from ragstone.testing.manifest_contract.scenes import SCOPE, TENANT, indexed, new_upload, sha256_of

SOURCES = ("a", "b", "c", None)
CONTENTS = ("1", "2", "3")
KEPT = 10
FAILURE = Failure("x", "y")


@dataclass
class ModelVersion:
    """Plainly what DESIGN says of a version."""

    sha256: str
    job: JobState = JobState.QUEUED
    has_text: bool = False
    is_retired: bool = False
    is_purged: bool = False
    replaces: bool = False


@dataclass
class ModelDocument:
    """`versions` by number; the newest is the last."""

    source: str | None
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    numbers_used: int = 0
    visible: int | None = None
    kept_from: int = 1
    is_deleted: bool = False

    @property
    def newest(self) -> ModelVersion:
        return self.versions[self.numbers_used]

    @property
    def shown(self) -> int:
        return self.visible or self.numbers_used

    @property
    def is_in_work(self) -> bool:
        return self.newest.job in (JobState.QUEUED, JobState.RUNNING)

    @property
    def status(self) -> DocumentStatus:
        if self.visible is not None:
            return DocumentStatus.READY
        by_job = {JobState.QUEUED: DocumentStatus.QUEUED, JobState.RUNNING: DocumentStatus.PROCESSING}
        return by_job.get(self.newest.job, DocumentStatus.FAILED)

    def add(self, sha256: str, *, replaces: bool = False) -> None:
        self.numbers_used += 1
        self.versions[self.numbers_used] = ModelVersion(sha256, replaces=replaces)

    def renew(self, sha256: str, *, replaces: bool = False) -> None:
        self.stop_work()
        self.add(sha256, replaces=replaces)

    def is_news(self, sha256: str) -> bool:
        ended_badly = self.newest.job is JobState.FAILED or self.was_cancelled
        return self.newest.sha256 != sha256 or ended_badly

    @property
    def was_cancelled(self) -> bool:
        """By its user; one that was overtaken is not the newest."""
        return self.newest.job is JobState.CANCELLED

    def stop_work(self) -> None:
        if self.is_in_work:
            self.newest.job = JobState.CANCELLED
            self.newest.is_retired = True

    def forget_old_versions(self) -> None:
        old = [n for n in self.versions if n not in (self.visible, self.numbers_used)]
        for place, number in enumerate(sorted(old, reverse=True)):
            if self.versions[number].is_purged and (place >= KEPT or number < self.kept_from):
                del self.versions[number]


class Life:
    """A manifest, its model, and random steps that both take."""

    def __init__(self, manifest: SqlManifest, path: Path, seed: int):
        self.manifest = manifest
        self.path = path
        self.random = random.Random(seed)
        self.model: dict[str, ModelDocument] = {}
        self.claimed: list[IngestTask] = []
        self.blobs: set[str] = set()

    async def step(self) -> None:
        steps = {
            self.upload: 8,
            self.claim: 4,
            self.finish: 6,
            self.fail: 2,
            self.hand_back: 2,
            self.delete: 1,
            self.reindex: 1,
            self.replace: 1,
            self.restore: 1,
            self.cancel: 1,
            self.retry: 1,
            self.purge: 2,
            self.restart: 1,
        }
        (step,) = self.random.choices(list(steps), list(steps.values()))
        await step()

    async def upload(self) -> None:
        source, content = self.random.choice(SOURCES), self.random.choice(CONTENTS)
        on_duplicate = self.random.choice(list(OnDuplicate))
        upload = new_upload(source, content, on_duplicate=on_duplicate)

        async def confirm() -> None:
            self.blobs.add(upload.sha256)

        known = self._find(source)
        if on_duplicate is OnDuplicate.ERROR and known and self.model[known].newest.sha256 != upload.sha256:
            with pytest.raises(DocumentExists):
                await self.manifest.accept_upload(upload, confirm)
            return
        accepted = await self.manifest.accept_upload(upload, confirm)
        if known is None:
            assert accepted.document.id not in self.model
            document = self.model[accepted.document.id] = ModelDocument(source)
            document.add(upload.sha256)
            assert accepted.job is not None
            return
        document = self.model[known]
        is_same = document.newest.sha256 == upload.sha256
        makes_version = document.is_news(upload.sha256) and (is_same or on_duplicate is not OnDuplicate.SKIP)
        assert accepted.document.id == known
        assert (accepted.job is not None) is makes_version
        if makes_version:
            document.renew(upload.sha256, replaces=on_duplicate is OnDuplicate.REPLACE)

    async def replace(self) -> None:
        document_id = self._any_document()
        if document_id is None:
            return
        document, sha256 = self.model[document_id], sha256_of(self.random.choice(CONTENTS))
        content = NewContent(sha256, 1, "text/plain", None)

        async def confirm() -> None:
            self.blobs.add(sha256)

        accepted = await self.manifest.replace_content(TENANT, document_id, content, confirm)
        assert (accepted.job is not None) is document.is_news(sha256)
        if accepted.job is not None:
            document.renew(sha256)

    async def restore(self) -> None:
        document_id = self._any_document()
        if document_id is None:
            return
        document = self.model[document_id]
        number = self.random.randint(1, document.numbers_used)
        if number not in document.versions:
            with pytest.raises(VersionNotFound):
                await self.manifest.restore_version(TENANT, document_id, number)
            return
        accepted = await self.manifest.restore_version(TENANT, document_id, number)
        sha256 = document.versions[number].sha256
        is_needed = number != document.numbers_used or document.is_news(sha256)
        assert (accepted.job is not None) is is_needed
        if is_needed:
            document.renew(sha256)

    async def cancel(self) -> None:
        document_id = self._any_document()
        if document_id is None:
            return
        document, job_id = self.model[document_id], await self._newest_job(document_id)
        if not document.is_in_work:
            with pytest.raises(Conflict):
                await self.manifest.cancel_job(TENANT, job_id)
            return
        assert (await self.manifest.cancel_job(TENANT, job_id)).state is JobState.CANCELLED
        document.stop_work()

    async def retry(self) -> None:
        document_id = self._any_document()
        if document_id is None:
            return
        document, job_id = self.model[document_id], await self._newest_job(document_id)
        if document.newest.job in (JobState.RUNNING, JobState.SUCCEEDED):
            with pytest.raises(Conflict):
                await self.manifest.retry_job(TENANT, job_id)
            return
        await self.manifest.retry_job(TENANT, job_id)
        if document.newest.job is not JobState.QUEUED:
            document.add(document.newest.sha256)

    async def claim(self) -> None:
        queued = sum(
            not each.is_deleted and each.newest.job is JobState.QUEUED for each in self.model.values()
        )
        is_busy = any(
            version.job is JobState.RUNNING
            for each in self.model.values()
            if not each.is_deleted
            for version in each.versions.values()
        )
        limit = self.random.randint(1, 4)
        tasks = await self.manifest.claim_tasks(limit)
        struck = [task for task in tasks if task.job.strikes > 1]
        assert len(tasks) <= min(limit, queued)
        assert tasks or is_busy or not queued
        assert not struck or (len(tasks) == 1 and not is_busy)
        for task in tasks:
            version = self.model[task.document_id].versions[task.version]
            assert (version.job, version.sha256) == (JobState.QUEUED, task.sha256)
            version.job = JobState.RUNNING
        self.claimed += tasks

    async def finish(self) -> None:
        batch = {task.job.id: task for task in self.random.choices(self.claimed, k=3)} if self.claimed else {}
        versions = [indexed(task) for task in batch.values()]
        running = {job_id: self._running(task) for job_id, task in batch.items()}
        for version in versions:
            if await self.manifest.record_content(version.job_id, version.text_sha256):
                self.blobs.add(version.text_sha256)
        assert set(await self.manifest.switch_versions(versions)) == {
            job for job, found in running.items() if found
        }
        for job_id, found in running.items():
            if found:
                self._switch(found, batch[job_id].version)

    async def fail(self) -> None:
        task = self._any_task()
        if task is None:
            return
        await self.manifest.fail_task(task.job.id, FAILURE)
        if document := self._running(task):
            document.newest.job = JobState.FAILED
            document.newest.is_retired = True

    async def hand_back(self) -> None:
        task = self._any_task()
        if task is None:
            return
        if self.random.random() < 0.5:
            await self.manifest.requeue(task.job.id, delay=timedelta(0), failure=FAILURE)
        else:
            await self.manifest.release_tasks([task.job.id])
        if document := self._running(task):
            document.newest.job = JobState.QUEUED

    async def delete(self) -> None:
        document_id = self._any_document()
        if document_id is None:
            return
        document = self.model[document_id]
        (target,) = (await self.manifest.delete_document(TENANT, document_id)).targets
        assert target.versions == tuple(document.versions)
        document.stop_work()
        document.is_deleted = True

    async def reindex(self) -> None:
        document_id = self._any_document()
        if document_id is None:
            return
        document = self.model[document_id]
        if document.is_in_work:
            with pytest.raises(Conflict):
                await self.manifest.request_reindex(TENANT, document_id)
            return
        await self.manifest.request_reindex(TENANT, document_id)
        document.add(document.newest.sha256)

    async def purge(self) -> None:
        targets = await self.manifest.purge_targets(1_000)
        whole = {target.document_id for target in targets if target.version is None}
        assert whole == {document_id for document_id, each in self.model.items() if each.is_deleted}
        single = {(target.document_id, target.version) for target in targets if target.version is not None}
        assert single == {
            (document_id, number)
            for document_id, each in self.model.items()
            if not each.is_deleted
            for number, version in each.versions.items()
            if version.is_retired
        }
        for target in self.random.sample(targets, k=self.random.randint(0, len(targets))):
            await self.manifest.finish_purge(target, 0, self._delete_blob)
            if target.version is None:
                del self.model[target.document_id]
            else:
                document = self.model[target.document_id]
                version = document.versions[target.version]
                version.is_retired, version.is_purged = False, True
                document.forget_old_versions()

    async def restart(self) -> None:
        await self.manifest.close()
        self.manifest = await open_manifest(self.path)
        await self.manifest.recover(max_attempts=1_000)
        for document in self.model.values():
            if document.newest.job is JobState.RUNNING:
                document.newest.job = JobState.QUEUED

    async def check(self) -> None:
        """All that can be seen is what the model says, and the bytes are exactly those that are referred to."""
        alive = {document_id: each for document_id, each in self.model.items() if not each.is_deleted}
        seen = {document.id: document for document in await all_documents(self.manifest)}
        assert seen.keys() == alive.keys()
        for document_id, expected in alive.items():
            document = seen[document_id]
            assert (document.status, document.version) == (expected.status, expected.shown)
            assert document.sha256 == expected.versions[expected.shown].sha256
            is_behind = expected.visible not in (None, expected.numbers_used)
            assert (document.pending.version if document.pending else None) == (
                expected.numbers_used if is_behind else None
            )
        visible = {document_id: each.visible for document_id, each in alive.items() if each.visible}
        found = await self.manifest.visible_documents(SCOPE, list(self.model))
        assert {document_id: each.version for document_id, each in found.items()} == visible
        assert self.blobs == (await self.manifest.referenced_blobs()).keys()
        assert await self.manifest.live_versions() == {
            f"{document_id}:{number}"
            for document_id, each in self.model.items()
            for number, version in each.versions.items()
            if not version.is_purged
        }

    def _find(self, source: str | None) -> str | None:
        if source is None:
            return None
        found = [key for key, each in self.model.items() if each.source == source and not each.is_deleted]
        return found[0] if found else None

    def _any_document(self) -> str | None:
        alive = [document_id for document_id, each in self.model.items() if not each.is_deleted]
        return self.random.choice(alive) if alive else None

    async def _newest_job(self, document_id: str) -> str:
        return (await self.manifest.list_versions(TENANT, document_id))[0].job_id

    def _any_task(self) -> IngestTask | None:
        """Also one that was overtaken long ago."""
        return self.random.choice(self.claimed) if self.claimed else None

    def _running(self, task: IngestTask) -> ModelDocument | None:
        document = self.model.get(task.document_id)
        if document is None or document.is_deleted or document.numbers_used != task.version:
            return None
        return document if document.newest.job is JobState.RUNNING else None

    def _switch(self, document: ModelDocument, number: int) -> None:
        if document.visible is not None:
            document.versions[document.visible].is_retired = True
        document.visible = number
        document.newest.job = JobState.SUCCEEDED
        if document.newest.replaces:
            document.kept_from = number
            for older in document.versions.keys() - {number}:
                document.versions[older].is_retired = True

    async def _delete_blob(self, sha256: str) -> bool:
        self.blobs.remove(sha256)
        return True


@pytest.mark.parametrize("seed", range(4))
async def test_a_random_life_is_as_the_model_says(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "manifest.sqlite3"
    life = Life(await open_manifest(path), path, seed)
    for number in range(120):
        await life.step()
        if number % 4 == 0:
            await life.check()
    await life.purge()
    await life.check()
    await life.manifest.close()


@pytest.mark.parametrize("seed", range(2))
async def test_operations_at_the_same_time_end_as_the_last_acknowledged_ones(
    tmp_path: Path, seed: int
) -> None:
    manifest = await open_manifest(tmp_path / "manifest.sqlite3")
    blobs = FileBlobStore(tmp_path / "blobs")
    done = asyncio.Event()
    background = [
        asyncio.create_task(_repeat(work, manifest, blobs, done))
        for work in (ingest_all, ingest_all, purge_all_with)
    ]
    users = (_user(manifest, blobs, f"user {n}", random.Random(seed * 10 + n)) for n in range(5))
    last = await asyncio.gather(*users)
    done.set()
    await asyncio.gather(*background)
    await manifest.recover(max_attempts=1_000)
    await ingest_all(manifest, blobs)
    await purge_all_with(manifest, blobs)
    await assert_at_rest(manifest, blobs)
    expected = {(f"user {n}", sha256_of(content)) for n, content in enumerate(last) if content is not None}
    assert {(document.source, document.sha256) for document in await all_documents(manifest)} == expected
    await _assert_exact_bytes(manifest, blobs)
    await manifest.close()


async def _assert_exact_bytes(manifest: SqlManifest, blobs: FileBlobStore) -> None:
    """All that is referred to is stored, and no other original. A text may be: its put can come after its purge."""
    stored = {sha256 for sha256, _ in await blobs.list()}
    referenced = (await manifest.referenced_blobs()).keys()
    assert referenced <= stored
    assert not {sha256_of(content) for content in CONTENTS} & (stored - referenced)


async def _user(
    manifest: SqlManifest, blobs: FileBlobStore, source: str, chance: random.Random
) -> str | None:
    """Uploads and deletes one document again and again; all users have the same few contents. Returns the content of
    the last upload, None if a delete came after it."""
    document_id, content = None, None
    for _ in range(12):
        if document_id is not None and chance.random() < 0.4:
            await manifest.delete_document(TENANT, document_id)
            document_id, content = None, None
        else:
            content = chance.choice(CONTENTS)
            upload = new_upload(source, content)
            accepted = await manifest.accept_upload(upload, partial(blobs.put, content.encode()))
            document_id = accepted.document.id
        await asyncio.sleep(0)
    return content


async def _repeat(work: object, manifest: SqlManifest, blobs: FileBlobStore, done: asyncio.Event) -> None:
    assert callable(work)
    while not done.is_set():
        await work(manifest, blobs)
        await asyncio.sleep(0)
