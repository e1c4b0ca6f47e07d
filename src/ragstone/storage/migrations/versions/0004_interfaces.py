"""What other interfaces say and remember: titles and metadata of collections, sizes of chunks, records."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LIVE = sa.text("deleted_at IS NULL")
_COPIES = sa.text("deleted_at IS NULL AND copy_of IS NOT NULL")


def upgrade() -> None:
    """To this revision."""
    op.add_column("collections", sa.Column("title", sa.Text, nullable=False, server_default=""))
    op.add_column("collections", sa.Column("metadata", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("versions", sa.Column("chunk_tokens", sa.Integer))
    op.add_column("documents", sa.Column("copy_of", sa.Text))
    _create_document_index("documents_by_copy", ["copy_of", "collection"], _COPIES)
    _create_document_index("documents_of_tenant", ["tenant_id", "created_at", "id"], _LIVE)
    op.create_table(
        "records",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
    )
    op.create_index("records_expiring", "records", ["expires_at"])
    op.create_index("records_by_age", "records", ["tenant_id", "created_at"])
    op.create_table(
        "record_documents",
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name="fk_record_documents_record_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("record_id", "document_id", name="pk_record_documents"),
    )
    op.create_index("record_documents_by_document", "record_documents", ["document_id"])


def _create_document_index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "documents", columns, sqlite_where=where, postgresql_where=where)
