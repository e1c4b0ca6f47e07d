"""The moment at which indexed versions become the visible ones."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, case, select, tuple_, update

from ragstone.core.models import IndexedVersion, JobState, Stage, VersionState
from ragstone.storage import children
from ragstone.storage.database import Transaction
from ragstone.storage.tables import documents, jobs, title_key, versions

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
_replaces = select(versions.c.replaces).where(_this_version).scalar_subquery()
# What is kept of older versions is purged once more, and dropped with that.
_RETIRE_REPLACED = (
    update(versions)
    .where(
        versions.c.document_id == bindparam("document_id_"),
        versions.c.version < bindparam("version_"),
        _replaces,
    )
    .values(retired_at=bindparam("now"))
)
_SHOW = (
    update(documents)
    .where(documents.c.id == bindparam("document_id_"))
    .values(
        visible_version=bindparam("version_"),
        title=bindparam("new_title"),
        title_key=bindparam("new_title_key"),
        kept_from=case((_replaces, bindparam("version_")), else_=documents.c.kept_from),
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
        chunks_reused=bindparam("new_chunks_reused"),
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
    for statement in (_RETIRE_VISIBLE, _RETIRE_REPLACED, _MAKE_VISIBLE, _SHOW, _SUCCEED)
]


def switch(tx: Transaction, indexed: Sequence[IndexedVersion]) -> list[str]:
    """See Manifest.switch_versions. A running job's version is pending, and so the newest of a living document."""
    job_ids = [version.job_id for version in indexed]
    running = set(tx.execute(_RUNNING.where(jobs.c.id.in_(job_ids))).scalars())
    switched = [version for version in indexed if version.job_id in running]
    titles = _given_titles(tx, switched)
    rows = [_parameters(version, titles.get(version.document_id), tx.now) for version in switched]
    if rows:
        for statement, names in _STEPS:
            tx.execute(statement, [{name: row[name] for name in names & row.keys()} for row in rows])
        children.reconcile(tx, switched)
    return [version.job_id for version in switched]


def _given_titles(tx: Transaction, switched: Sequence[IndexedVersion]) -> dict[str, str]:
    """Document id → title that its user gave, perhaps while the version was in work."""
    keys = [(version.document_id, version.version) for version in switched]
    found = tx.execute(
        select(versions.c.document_id, versions.c.title).where(
            tuple_(versions.c.document_id, versions.c.version).in_(keys), versions.c.title.is_not(None)
        )
    )
    return dict(found.all())


def _parameters(version: IndexedVersion, given_title: str | None, now: datetime) -> dict[str, object]:
    title = given_title or version.title
    return {
        "now": now,
        "job_id_": version.job_id,
        "document_id_": version.document_id,
        "version_": version.version,
        "new_title": title,
        "new_title_key": title_key(title),
        "new_text_sha256": version.text_sha256,
        "new_characters": version.characters,
        "new_chunks": version.chunks,
        "new_pages": version.pages,
        "new_encoding": version.encoding,
        "new_chunks_reused": version.chunks_reused,
        "new_stage_ms": dict(version.stage_ms),
    }
