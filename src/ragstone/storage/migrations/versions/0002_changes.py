"""Documents inside documents, expiry, replacement, purges of many, idempotency keys. Frozen, as every migration."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.BigInteger  # microseconds since the epoch
JOB_INDEXES = {
    "jobs_queue": (["state", "due_at", "id"], "due_at IS NOT NULL"),
    "jobs_by_document": (["document_id"], None),
    "jobs_expiring": (["expires_at"], "expires_at IS NOT NULL"),
}


def upgrade() -> None:
    """To this revision."""
    _extend_documents()
    op.add_column("versions", sa.Column("replaces", sa.Boolean, nullable=False, server_default=sa.false()))
    _create_members()
    _extend_jobs()
    _create_idempotency_keys()


def _extend_documents() -> None:
    for column in (
        sa.Column("purge_job_id", sa.Text),
        sa.Column("parent_id", sa.Text),
        sa.Column("member", sa.Text),
        sa.Column("depth", sa.Integer, nullable=False, server_default="0"),
        sa.Column("kept_from", sa.Integer, nullable=False, server_default="1"),
        sa.Column("payload_stale_at", TIME),
    ):
        op.add_column("documents", column)
    op.execute(
        "UPDATE documents SET purge_job_id = (SELECT jobs.id FROM jobs"
        " WHERE jobs.document_id = documents.id AND jobs.kind = 'purge')"
        " WHERE deleted_at IS NOT NULL"
    )
    op.drop_index("documents_identity", "documents")
    live = "deleted_at IS NULL"
    has_identity = f"{live} AND source IS NOT NULL AND parent_id IS NULL"
    _create_index(
        "documents_identity", "documents", ["tenant_id", "collection", "source"], has_identity, unique=True
    )
    is_child = f"{live} AND parent_id IS NOT NULL"
    _create_index("documents_children", "documents", ["parent_id", "member"], is_child, unique=True)
    _create_index(
        "documents_stale", "documents", ["payload_stale_at"], f"{live} AND payload_stale_at IS NOT NULL"
    )
    _create_index("documents_expiring", "documents", ["expires_at"], f"{live} AND expires_at IS NOT NULL")
    _create_index("documents_by_purge", "documents", ["purge_job_id"], "purge_job_id IS NOT NULL")


def _create_members() -> None:
    op.create_table(
        "members",
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("document_id", "version", "member", name="pk_members"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_members_document_id"),
    )
    op.create_index("members_by_sha256", "members", ["sha256"])


def _extend_jobs() -> None:
    """SQLite can only make a column nullable in a new table; nothing refers to this one."""
    for name in JOB_INDEXES:
        op.drop_index(name, "jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("document_id", existing_type=sa.Text, nullable=True)
        jobs.add_column(sa.Column("chunks_reused", sa.Integer, nullable=False, server_default="0"))
    for name, (columns, condition) in JOB_INDEXES.items():
        if condition is None:
            op.create_index(name, "jobs", columns)
        else:
            _create_index(name, "jobs", columns, condition)
    op.create_index("jobs_by_time", "jobs", ["tenant_id", "created_at", "id"])


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("idempotency_keys_expiring", "idempotency_keys", ["expires_at"])


def _create_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
