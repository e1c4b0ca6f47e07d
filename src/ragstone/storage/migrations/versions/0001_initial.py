"""The first schema. A migration is frozen: it names its own columns and imports none of ours."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SORTED_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.BigInteger  # microseconds since the epoch
CHOICE = sa.String(16)


def upgrade() -> None:
    """To this revision."""
    _create_properties()
    _create_collections()
    _create_documents()
    _create_versions()
    _create_jobs()


def _create_properties() -> None:
    op.create_table(
        "properties",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_properties"),
    )


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("name", SORTED_TEXT, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_collections"),
    )


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_key", SORTED_TEXT, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("visible_version", sa.Integer),
        sa.Column("newest_version", sa.Integer, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("deleted_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
    )
    identity = ["tenant_id", "collection", "source"]
    _create_index(
        "documents_identity", "documents", identity, "deleted_at IS NULL AND source IS NOT NULL", unique=True
    )
    by_time = ["tenant_id", "collection", "created_at", "id"]
    _create_index("documents_by_time", "documents", by_time, "deleted_at IS NULL")
    by_title = ["tenant_id", "collection", "title_key", "id"]
    _create_index("documents_by_title", "documents", by_title, "deleted_at IS NULL")
    _create_index("documents_deleted", "documents", ["deleted_at", "id"], "deleted_at IS NOT NULL")


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", CHOICE, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("filename", sa.Text),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("text_sha256", sa.Text),
        sa.Column("characters", sa.BigInteger, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("pages", sa.Integer),
        sa.Column("encoding", sa.Text),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("retired_at", TIME),
        sa.Column("purged_at", TIME),
        sa.PrimaryKeyConstraint("document_id", "version", name="pk_versions"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_versions_document_id"),
    )
    op.create_index("versions_by_sha256", "versions", ["sha256"])
    op.create_index("versions_by_text", "versions", ["text_sha256"])
    _create_index("versions_retired", "versions", ["retired_at"], "retired_at IS NOT NULL")


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("kind", CHOICE, nullable=False),
        sa.Column("state", CHOICE, nullable=False),
        sa.Column("stage", CHOICE),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("strikes", sa.Integer, nullable=False),
        sa.Column("due_at", TIME),
        sa.Column("next_retry_at", TIME),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("error_page", sa.Integer),
        sa.Column("stage_ms", sa.JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("expires_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    _create_index("jobs_queue", "jobs", ["state", "due_at", "id"], "due_at IS NOT NULL")
    op.create_index("jobs_by_document", "jobs", ["document_id"])
    _create_index("jobs_expiring", "jobs", ["expires_at"], "expires_at IS NOT NULL")


def _create_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
