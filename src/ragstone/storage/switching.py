"""The moment at which indexed versions become the visible ones."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, select, update

from ragstone.core.models import IndexedVersion, JobState, Stage
from ragstone.storage.database import Transaction
from ragstone.storage.tables import VersionState, documents, jobs, title_key, versions

_RUNNING = select(jobs.c.id).where(jobs.c.state == JobState.RUNNING)

_this_version = and_(
    versions.c.document_id == bindparam("document_id_"), versions.c.version == bindparam("version_")
)

_RETIRE_VISIBLE = (
    update(versions)
    .where(versions.c.document_id == bindparam("document_id_"), versions.c.state == VersionState.VISIBLE)
    .values(state=VersionState.SUPERSEDED, retired_at=bindparam("now"))
)
_MAKE_VISIBLE = (
    update(versions)
    .where(_this_version)
    .values(
        state=VersionState.VISIBLE,
        text_sha256=bindparam("new_text_sha256"),
        characters=bindparam("new_characters"),
        chunks=bindparam("new_chunks"),
        pages=bindparam("new_pages"),
        encoding=bindparam("new_encoding"),
    )
)
_SHOW = (
    update(documents)
    .where(documents.c.id == bindparam("document_id_"))
    .values(
        visible_version=bindparam("version_"),
        title=bindparam("new_title"),
        title_key=bindparam("new_title_key"),
        metadata=select(versions.c.metadata).where(_this_version).scalar_subquery(),
        updated_at=bindparam("now"),
    )
)
_SUCCEED = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id_"))
    .values(
        state=JobState.SUCCEEDED,
        stage=Stage.INDEX,
        done=bindparam("new_chunks"),
        total=bindparam("new_chunks"),
        unit="chunks",
        error_code=None,
        error_message=None,
        error_page=None,
        stage_ms=bindparam("new_stage_ms"),
        finished_at=bindparam("now"),
        due_at=None,
    )
)
_STEPS = [
    (statement, frozenset(statement.compile().params))
    for statement in (_RETIRE_VISIBLE, _MAKE_VISIBLE, _SHOW, _SUCCEED)
]


def switch(tx: Transaction, indexed: Sequence[IndexedVersion]) -> list[str]:
    """See Manifest.switch_versions. A running job's version is pending, and so the newest of a living document."""
    job_ids = [version.job_id for version in indexed]
    running = set(tx.execute(_RUNNING.where(jobs.c.id.in_(job_ids))).scalars())
    rows = [_parameters(version, tx.now) for version in indexed if version.job_id in running]
    if rows:
        for statement, names in _STEPS:
            tx.execute(statement, [{name: row[name] for name in names & row.keys()} for row in rows])
    return [version.job_id for version in indexed if version.job_id in running]


def _parameters(version: IndexedVersion, now: datetime) -> dict[str, object]:
    return {
        "now": now,
        "job_id_": version.job_id,
        "document_id_": version.document_id,
        "version_": version.version,
        "new_title": version.title,
        "new_title_key": title_key(version.title),
        "new_text_sha256": version.text_sha256,
        "new_characters": version.characters,
        "new_chunks": version.chunks,
        "new_pages": version.pages,
        "new_encoding": version.encoding,
        "new_stage_ms": dict(version.stage_ms),
    }
