"""Answers about the whole database: what should be in the vector store and the blob folder, counts, properties."""

from collections.abc import Iterable, Mapping

from sqlalchemy import and_, delete, func, insert, select

from ragstone.core.models import IngestTask, JobState, VersionContent, VersionState
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.rows import TASKS, task_from
from ragstone.storage.tables import documents, jobs, members, properties, versions

_LIVE = documents.c.deleted_at.is_(None)
_VISIBLE = and_(_LIVE, versions.c.state == VersionState.VISIBLE)
_VERSIONS = select(versions.c.document_id, versions.c.version).join(
    documents, documents.c.id == versions.c.document_id
)


def expected_points(tx: Transaction) -> dict[str, int]:
    """See Manifest.expected_points."""
    found = tx.execute(_VERSIONS.add_columns(versions.c.chunks).where(_VISIBLE))
    return {f"{document_id}:{version}": chunks for document_id, version, chunks in found}


def visible_contents(tx: Transaction) -> dict[str, VersionContent]:
    """See Manifest.visible_contents."""
    columns = (versions.c.chunks, versions.c.sha256, versions.c.text_sha256)
    found = tx.execute(_VERSIONS.add_columns(*columns).where(_VISIBLE))
    return {f"{document_id}:{version}": VersionContent(*content) for document_id, version, *content in found}


def unfinished_originals(tx: Transaction) -> dict[str, str]:
    """See Manifest.unfinished_originals."""
    is_newest = versions.c.version == documents.c.newest_version
    is_unfinished = and_(_LIVE, is_newest, versions.c.state != VersionState.VISIBLE)
    found = tx.execute(_VERSIONS.add_columns(versions.c.sha256).where(is_unfinished))
    return {f"{document_id}:{version}": sha256 for document_id, version, sha256 in found}


def visible_task(tx: Transaction, document_version: str) -> IngestTask | None:
    """See Manifest.visible_task."""
    document_id, _, number = document_version.rpartition(":")
    is_it = and_(
        versions.c.document_id == document_id,
        versions.c.version == int(number),
        jobs.c.id == versions.c.job_id,
    )
    row = tx.execute(TASKS.where(is_it, _VISIBLE)).first()
    return None if row is None else task_from(row)


def live_versions(tx: Transaction) -> set[str]:
    """See Manifest.live_versions."""
    found = tx.execute(_VERSIONS.where(versions.c.purged_at.is_(None)))
    return {f"{document_id}:{version}" for document_id, version in found}


def referenced_blobs(tx: Transaction) -> dict[str, bool]:
    """See Manifest.referenced_blobs."""
    found: Iterable[AnyRow] = tx.execute(
        select(versions.c.sha256, versions.c.text_sha256, _VISIBLE).join(
            documents, documents.c.id == versions.c.document_id
        )
    )
    inside = select(members.c.sha256, members.c.sha256, _VISIBLE).join(
        versions,
        and_(versions.c.document_id == members.c.document_id, versions.c.version == members.c.version),
    )
    found = [*found, *tx.execute(inside.join(documents, documents.c.id == versions.c.document_id))]
    needed: dict[str, bool] = {}
    for original, extracted, is_visible in found:
        for sha256 in (original, extracted):
            if sha256 is not None:
                needed[sha256] = needed.get(sha256, False) or bool(is_visible)
    return needed


def counts(tx: Transaction) -> Mapping[str, int]:
    """See Manifest.counts."""
    by_state = dict(tx.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all())
    deleted = tx.execute(select(func.count()).where(documents.c.deleted_at.is_not(None))).scalar_one()
    retired = tx.execute(
        select(func.count())
        .select_from(versions)
        .join(documents, documents.c.id == versions.c.document_id)
        .where(_LIVE, versions.c.retired_at.is_not(None))
    ).scalar_one()
    return {
        "documents": tx.execute(select(func.count()).where(_LIVE)).scalar_one(),
        "versions": tx.execute(select(func.count()).select_from(versions)).scalar_one(),
        **{f"jobs_{state}": by_state.get(state, 0) for state in JobState},
        "purges_pending": deleted + retired,
    }


def get_property(tx: Transaction, key: str) -> str | None:
    """See Manifest.get_property."""
    found: str | None = tx.execute(select(properties.c.value).where(properties.c.key == key)).scalar()
    return found


def set_property(tx: Transaction, key: str, value: str) -> None:
    """See Manifest.set_property."""
    tx.execute(delete(properties).where(properties.c.key == key))
    tx.execute(insert(properties).values(key=key, value=value))
