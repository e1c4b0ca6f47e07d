"""The schema, one for SQLite and PostgreSQL. Statements live beside the idea they serve, changes in migrations/.

All rows of a document hang on `documents`; what is visible is `documents.visible_version`, and nothing else says so.
"""

import unicodedata
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    and_,
    false,
)

from ragstone.core.context import request_id
from ragstone.core.filters import epoch_micros
from ragstone.core.models import JobKind, JobState, RecordKind, Stage, VersionState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TITLE_KEY_LENGTH = 500  # PostgreSQL refuses index rows beyond 2,704 bytes


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as microseconds since the epoch: exact, sortable and equal on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """To the database."""
        return None if value is None else epoch_micros(value)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def title_key(title: str) -> str:
    """What titles are sorted by and searched in: its first characters without regard to case and width."""
    return unicodedata.normalize("NFKC", title[:TITLE_KEY_LENGTH]).casefold()[:TITLE_KEY_LENGTH]


def _choice(kind: type[StrEnum]) -> Enum:
    """Stored as its value; no CHECK, so that a new member needs no migration."""
    return Enum(
        kind, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members]
    )


SortedText = Text().with_variant(Text(collation="C"), "postgresql")  # code point order, as SQLite has it

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s"}
)

properties = Table(
    "properties",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

collections = Table(
    "collections",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("name", SortedText, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("metadata", JSON, nullable=False, server_default="{}"),
    PrimaryKeyConstraint("tenant_id", "name"),
)

# No foreign key to collections: tombstones of a deleted collection outlive it until their points are purged.
# A part of another document is known by `parent_id` and its path there, `member`. Versions below `kept_from` were
# replaced for good. `payload_stale_at` is set while the points may not carry the present title and metadata. `copy_of` is
# the document that this one was copied from, which may be gone.
documents = Table(
    "documents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("source", Text),
    Column("title", Text, nullable=False),
    Column("title_key", SortedText, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("visible_version", Integer),
    Column("newest_version", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("deleted_at", UtcTime),
    Column("purge_job_id", Text),
    Column("parent_id", Text),
    Column("member", Text),
    Column("depth", Integer, nullable=False, server_default="0"),
    Column("kept_from", Integer, nullable=False, server_default="1"),
    Column("payload_stale_at", UtcTime),
    Column("copy_of", Text),
)
_is_live = documents.c.deleted_at.is_(None)
_has_identity = and_(_is_live, documents.c.source.is_not(None), documents.c.parent_id.is_(None))
Index(
    "documents_identity",
    documents.c.tenant_id,
    documents.c.collection,
    documents.c.source,
    unique=True,
    sqlite_where=_has_identity,
    postgresql_where=_has_identity,
)
_is_copy = and_(_is_live, documents.c.copy_of.is_not(None))
Index(
    "documents_by_copy",
    documents.c.copy_of,
    documents.c.collection,
    sqlite_where=_is_copy,
    postgresql_where=_is_copy,
)
Index(
    "documents_of_tenant",
    documents.c.tenant_id,
    documents.c.created_at,
    documents.c.id,
    sqlite_where=_is_live,
    postgresql_where=_is_live,
)
Index(
    "documents_by_time",
    documents.c.tenant_id,
    documents.c.collection,
    documents.c.created_at,
    documents.c.id,
    sqlite_where=_is_live,
    postgresql_where=_is_live,
)
Index(
    "documents_by_title",
    documents.c.tenant_id,
    documents.c.collection,
    documents.c.title_key,
    documents.c.id,
    sqlite_where=_is_live,
    postgresql_where=_is_live,
)
_is_child = and_(_is_live, documents.c.parent_id.is_not(None))
Index(
    "documents_children",
    documents.c.parent_id,
    documents.c.member,
    unique=True,
    sqlite_where=_is_child,
    postgresql_where=_is_child,
)
_is_stale = and_(_is_live, documents.c.payload_stale_at.is_not(None))
Index(
    "documents_stale",
    documents.c.payload_stale_at,
    sqlite_where=_is_stale,
    postgresql_where=_is_stale,
)
_will_expire = and_(_is_live, documents.c.expires_at.is_not(None))
Index(
    "documents_expiring",
    documents.c.expires_at,
    sqlite_where=_will_expire,
    postgresql_where=_will_expire,
)
_is_deleted = documents.c.deleted_at.is_not(None)
Index(
    "documents_deleted",
    documents.c.deleted_at,
    documents.c.id,
    sqlite_where=_is_deleted,
    postgresql_where=_is_deleted,
)
_has_purge = documents.c.purge_job_id.is_not(None)
Index(
    "documents_by_purge",
    documents.c.purge_job_id,
    sqlite_where=_has_purge,
    postgresql_where=_has_purge,
)

# `title` is the user's (None = from the document). A row is a reference to its blobs; it goes when they may go.
# `retired_at` is set while the version's points wait for their purge, `purged_at` when they are known to be gone.
# `replaces`: once it is visible, older versions go for good. `chunk_tokens`: the most that a chunk may have, where the
# user said so.
versions = Table(
    "versions",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", _choice(VersionState), nullable=False),
    Column("job_id", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("filename", Text),
    Column("media_type", Text, nullable=False),
    Column("title", Text),
    Column("metadata", JSON, nullable=False),
    Column("text_sha256", Text),
    Column("characters", BigInteger, nullable=False, default=0),
    Column("chunks", Integer, nullable=False, default=0),
    Column("pages", Integer),
    Column("encoding", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("retired_at", UtcTime),
    Column("purged_at", UtcTime),
    Column("replaces", Boolean, nullable=False, server_default=false()),
    Column("chunk_tokens", Integer),
    PrimaryKeyConstraint("document_id", "version"),
)
Index("versions_by_sha256", versions.c.sha256)
Index("versions_by_text", versions.c.text_sha256)
_is_retired = versions.c.retired_at.is_not(None)
Index(
    "versions_retired",
    versions.c.retired_at,
    sqlite_where=_is_retired,
    postgresql_where=_is_retired,
)

# The documents inside a version, written down before their bytes are stored. They become documents at its switch.
members = Table(
    "members",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("member", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    PrimaryKeyConstraint("document_id", "version", "member"),
)
Index("members_by_sha256", members.c.sha256)

# No foreign key to documents: a client may poll the jobs of a purged document until they expire.
# `document_id` is None for the purge of many. `due_at` is None for purges, which no worker claims, and for jobs that are done. `strikes` counts the attempts that may have killed a worker.
# `request_id` is that of the work at hand when the row is made.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("document_id", Text),
    Column("version", Integer),
    Column("kind", _choice(JobKind), nullable=False),
    Column("state", _choice(JobState), nullable=False),
    Column("stage", _choice(Stage)),
    Column("done", BigInteger, nullable=False, default=0),
    Column("total", BigInteger, nullable=False, default=0),
    Column("unit", Text, nullable=False, default="chunks"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("strikes", Integer, nullable=False, default=0),
    Column("due_at", UtcTime),
    Column("next_retry_at", UtcTime),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("error_page", Integer),
    Column("stage_ms", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("expires_at", UtcTime),
    Column("chunks_reused", Integer, nullable=False, server_default="0"),
    Column("request_id", Text, default=lambda: request_id.get()),
)
Index("jobs_by_time", jobs.c.tenant_id, jobs.c.created_at, jobs.c.id)
_is_due = jobs.c.due_at.is_not(None)
Index("jobs_queue", jobs.c.state, jobs.c.due_at, jobs.c.id, sqlite_where=_is_due, postgresql_where=_is_due)
Index("jobs_by_document", jobs.c.document_id)
_expires = jobs.c.expires_at.is_not(None)
Index("jobs_expiring", jobs.c.expires_at, sqlite_where=_expires, postgresql_where=_expires)

# What an upload with an Idempotency-Key came to. `fingerprint` is the hash of all that the request said.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("job_id", Text),
    Column("expires_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "key"),
)
Index("idempotency_keys_expiring", idempotency_keys.c.expires_at)

# What an interface has to remember beyond documents: plain JSON until `expires_at`, or until one of the documents that it
# quotes is deleted.
records = Table(
    "records",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", _choice(RecordKind), nullable=False),
    Column("content", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)
Index("records_expiring", records.c.expires_at)
Index("records_by_age", records.c.tenant_id, records.c.created_at)

record_documents = Table(
    "record_documents",
    metadata,
    Column("record_id", Text, ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    Column("document_id", Text, nullable=False),
    PrimaryKeyConstraint("record_id", "document_id"),
)
Index("record_documents_by_document", record_documents.c.document_id)
