"""Opening databases: new, old, newer, foreign, and by several processes at once."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from ragstone.core.errors import ForeignDatabase, StartupError, Unavailable
from ragstone.core.models import JobState, PurgeTarget, Scope
from ragstone.storage import schema
from ragstone.storage.database import Database, Transaction
from ragstone.storage.manifest import open_manifest
from ragstone.storage.tables import metadata

_DOCUMENT = (
    "INSERT INTO documents (id, tenant_id, collection, title, title_key, metadata, visible_version, newest_version,"
    " created_at, updated_at, deleted_at) VALUES ('{id}', 'default', 'default', 'Kept', 'kept', '{{}}', 1, 1, 0, 0,"
    " {deleted_at})"
)
_VERSION = (
    "INSERT INTO versions (document_id, version, state, job_id, sha256, bytes, media_type, metadata, characters,"
    " chunks, created_at) VALUES ('{id}', 1, 'visible', 'job-{id}', 'x', 1, 'text/plain', '{{}}', 1, 1, 0)"
)
_JOB = (
    "INSERT INTO jobs (id, tenant_id, document_id, version, kind, state, done, total, unit, attempts, strikes,"
    " stage_ms, created_at) VALUES ('{job}', 'default', '{id}', 1, '{kind}', '{state}', 0, 0, 'chunks', 1, 1, '{{}}', 0)"
)
FIRST_SCHEMA_ROWS = (
    _DOCUMENT.format(id="kept", deleted_at="NULL"),
    _VERSION.format(id="kept"),
    _JOB.format(id="kept", job="job-kept", kind="ingest", state="succeeded"),
    _DOCUMENT.format(id="gone", deleted_at="1"),
    _VERSION.format(id="gone"),
    _JOB.format(id="gone", job="job-gone", kind="ingest", state="succeeded"),
    _JOB.format(id="gone", job="purge", kind="purge", state="queued"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.sqlite3"


def objects(path: Path) -> dict[str, str]:
    """Every table and index with its columns, types and conditions, whatever the layout and order of its SQL: a column
    that was added later stands behind the constraints."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: _normalised(sql) for name, sql in found}


def _normalised(sql: str) -> str:
    opening, closing_, definitions = sql.replace('"', "").partition("(")
    parts = sorted(" ".join(part.split()) for part in definitions.rpartition(")")[0].split(", "))
    ending = definitions.rpartition(")")[2] if "INDEX" in opening else ""
    return " ".join(opening.split()) + closing_ + ", ".join(parts) + " ".join(ending.split())


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def migrated(path: Path) -> None:
    Database(path).prepare(lambda tx: schema.migrate(tx.connection, schema.REVISIONS[-1]))


async def open_and_close(path: Path) -> None:
    manifest = await open_manifest(path)
    await manifest.require_collection(Scope())
    await manifest.close()


def test_a_new_database_has_the_schema_of_the_migrations(tmp_path: Path) -> None:
    created, by_migrations = tmp_path / "created", tmp_path / "migrated"
    Database(created).prepare(schema.prepare)
    migrated(by_migrations)
    assert objects(created) == objects(by_migrations)


def test_the_schema_can_be_had_on_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    tables = {
        table.name: str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables
    }
    indexes = [index for table in metadata.sorted_tables for index in table.indexes]
    made = {str(index.name): str(CreateIndex(index).compile(dialect=dialect)) for index in indexes}
    assert 'title_key TEXT COLLATE "C"' in tables["documents"]
    assert "created_at BIGINT" in tables["documents"]
    assert made["documents_identity"].endswith(
        "WHERE deleted_at IS NULL AND source IS NOT NULL AND parent_id IS NULL"
    )


def test_the_release_knows_its_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == schema.REVISIONS


async def test_opening_again_changes_nothing(path: Path) -> None:
    await open_and_close(path)
    before = objects(path)
    await open_and_close(path)
    assert objects(path) == before


async def test_a_database_made_by_migrations_is_opened(path: Path) -> None:
    migrated(path)
    await open_and_close(path)


async def test_an_older_database_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await open_and_close(path)
    migrations: list[str] = []
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "0099"))
    monkeypatch.setattr(schema, "migrate", lambda _connection, revision: migrations.append(revision))
    await open_and_close(path)
    assert migrations == ["0099"]


async def test_what_the_first_schema_holds_is_kept(path: Path) -> None:
    Database(path).prepare(lambda tx: schema.migrate(tx.connection, "0001"))
    execute(path, *FIRST_SCHEMA_ROWS)

    manifest = await open_manifest(path)

    document = await manifest.get_document("default", "kept")
    assert (document.title, document.version, document.children, document.parent_id) == ("Kept", 1, (), None)
    assert (await manifest.get_job("default", "job-kept")).state is JobState.SUCCEEDED
    assert await manifest.purge_targets(10) == [PurgeTarget("gone", None, (1,), "purge")]
    await manifest.close()


async def test_a_newer_database_is_refused_with_both_versions(path: Path) -> None:
    await open_and_close(path)
    execute(path, "UPDATE ragstone_schema SET version_num = '0099'")
    with pytest.raises(StartupError, match=f"0099.*{schema.REVISIONS[-1]}"):
        await open_manifest(path)


@pytest.mark.parametrize("table", ["customers", "alembic_version"])
async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, table: str) -> None:
    execute(path, f"CREATE TABLE {table} (version_num TEXT)")
    before = objects(path)
    with pytest.raises(ForeignDatabase, match=table):
        await open_manifest(path)
    assert objects(path) == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    content = b"a letter to my grandmother, long enough to be read as a header\n" * 100
    path.write_bytes(content)
    with pytest.raises(ForeignDatabase, match="not a database"):
        Database(path).prepare(schema.prepare)
    assert path.read_bytes() == content


async def test_a_damaged_database_is_refused_and_sends_to_the_backup(path: Path) -> None:
    await open_and_close(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 64 * 1024)
    with pytest.raises(StartupError, match=r"is damaged: [^\[]+; restore a backup$"):
        Database(path).prepare(schema.prepare)


async def test_a_database_that_is_damaged_while_it_is_open_is_unavailable(path: Path) -> None:
    await open_and_close(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 64 * 1024)
    database = Database(path)
    with pytest.raises(Unavailable, match="refused"):
        await database.read(lambda tx: tx.execute(text("SELECT * FROM documents")))
    await database.close()


def test_a_database_that_cannot_be_opened_is_one_sentence(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StartupError, match=r"cannot open the database .*: Is a directory$"):
        Database(path)


async def test_a_database_that_another_process_never_lets_go_is_refused(path: Path) -> None:
    await open_and_close(path)
    database = Database(path, busy_timeout=timedelta(0))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StartupError, match="locked"):
            database.prepare(schema.prepare)


def test_a_new_database_that_another_process_never_lets_go_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StartupError, match="locked"):
            Database(path, busy_timeout=timedelta(milliseconds=50)).prepare(schema.prepare)


def test_a_migration_that_fails_leaves_the_database_as_it_was(path: Path) -> None:
    def fail(tx: Transaction) -> None:
        schema.prepare(tx)
        raise StartupError("on purpose")

    with pytest.raises(StartupError, match="on purpose"):
        Database(path).prepare(fail)
    assert objects(path) == {}


def test_processes_that_open_a_new_database_at_once_all_succeed(path: Path) -> None:
    script = Path(__file__).with_name("storage_process.py")
    subprocess.run([sys.executable, script, "open", path, "4"], check=True)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM collections").fetchone() == (1,)
        assert connection.execute("SELECT version_num FROM ragstone_schema").fetchall() == [
            (schema.REVISIONS[-1],)
        ]
