"""Alembic's entry: migrations run on the connection, and in the transaction, that schema.migrate hands over."""

from alembic import context

from ragstone.storage.schema import VERSION_TABLE
from ragstone.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot alter a column
)
context.run_migrations()
