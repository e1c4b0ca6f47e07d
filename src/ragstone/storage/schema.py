"""Bringing a database to the schema of this release, under the lock that every write takes.

A new database is created from tables.py and stamped, an older one migrated by Alembic; a test holds the two equal.
Alembic costs half a second of CPU to import, so it is, only when there is something to migrate.
"""

from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    select,
)

from ragstone.core.errors import ForeignDatabase, StartupError
from ragstone.core.models import DEFAULT_COLLECTION, DEFAULT_TENANT
from ragstone.storage.database import Transaction
from ragstone.storage.tables import collections, metadata

VERSION_TABLE = "ragstone_schema"
REVISIONS = ("0001", "0002", "0003", "0004")
"""All that this release knows, oldest first."""


_VERSION = Table(  # as Alembic makes it
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def prepare(tx: Transaction) -> None:
    """Leave the newest schema and the default collection. Raises ForeignDatabase, StartupError (a newer schema)."""
    revision = _revision(tx.connection)
    if revision is None:
        _create(tx.connection)
    elif revision not in REVISIONS:
        raise StartupError(
            f"the database has schema {revision}, this release knows up to {REVISIONS[-1]}: start the newer release"
        )
    elif revision != REVISIONS[-1]:
        migrate(tx.connection, REVISIONS[-1])
    _ensure_default_collection(tx)


def migrate(connection: Connection, revision: str) -> None:
    """Run Alembic's migrations up to `revision` in the connection's open transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _revision(connection: Connection) -> str | None:
    """The database's revision, None if it is empty. Raises ForeignDatabase."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        return str(connection.execute(select(_VERSION.c.version_num)).scalar_one())
    if tables:
        raise ForeignDatabase(
            f"the database holds tables that are not Ragstone's ({', '.join(sorted(tables)[:5])}); name an empty one"
        )
    return None


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION).values(version_num=REVISIONS[-1]))


def _ensure_default_collection(tx: Transaction) -> None:
    key = {"tenant_id": DEFAULT_TENANT, "name": DEFAULT_COLLECTION}
    if tx.execute(collections.select().filter_by(**key)).first() is None:
        tx.execute(insert(collections).values(**key, description="", created_at=tx.now))
