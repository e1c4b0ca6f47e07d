"""The SQLite database: how it is opened, and three threads that run transactions on it. No statement of ours here.

SQLAlchemy's asyncio layer costs 0.4 ms of CPU a statement and 0.4 s at import; one hop to a thread for a whole
transaction costs 0.1 ms. So transactions are plain functions of a `Transaction`; on PostgreSQL the same functions
run in a pool of threads, with an advisory lock where SQLite has BEGIN IMMEDIATE.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable, NullPool, Row, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from ragstone.core.crash import crash_point
from ragstone.core.errors import ForeignDatabase, StartupError, Unavailable
from ragstone.core.threads import in_executor

P = ParamSpec("P")
T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]

BUSY_TIMEOUT = timedelta(seconds=30)
"""Only another process can make us wait: its migration, or its commits."""


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction, and the one moment that all rows written in it carry."""

    connection: Connection
    now: datetime

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """As `Connection.execute`; a list of parameters runs the statement once for each."""
        return self.connection.execute(statement, parameters)


Work = Callable[Concatenate[Transaction, P], T]


class Database:
    """Writers exclude each other, also between processes; each transaction sees all that was committed before it."""

    def __init__(
        self, path: Path, *, clock: Callable[[], datetime] = utc_now, busy_timeout: timedelta = BUSY_TIMEOUT
    ):
        self.path = path
        self._clock = clock
        _create_private(path)
        self._busy_timeout_s = busy_timeout.total_seconds()
        self._engine = _engine(path, self._busy_timeout_s)
        self._writer = _Lane(self._engine, "write", is_writer=True)
        self._reader = _Lane(self._engine, "read")
        self._scanner = _Lane(self._engine, "scan")

    def now(self) -> datetime:
        """By the clock that transactions go by."""
        return self._clock()

    async def write(self, name: str, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` and commit: durable when this returns. Named for the crash points around the commit. A caller
        that is cancelled cannot tell whether it was committed. Raises Unavailable."""
        return await self._writer.run(
            lambda connection: self._transact(connection, name, work, *args, **kwargs)
        )

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short `work` on one snapshot. Raises Unavailable."""
        return await self._reader.run(lambda connection: self._look(connection, work, *args, **kwargs))

    async def scan(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for work that grows with the database: it does not hold up the short reads."""
        return await self._scanner.run(lambda connection: self._look(connection, work, *args, **kwargs))

    def prepare(self, work: Work[[], T]) -> T:
        """At start-up, blocking, before anything else: switch to write-ahead logging, then run `work` and commit.
        Raises StartupError, ForeignDatabase (the file is something else)."""
        try:
            _enable_wal(self.path, self._busy_timeout_s)
            with _connect(self._engine, is_writer=True) as connection:
                return self._transact(connection, "migrate", work)
        except (sqlite3.Error, DBAPIError) as error:
            raise _refusal(self.path, error) from error

    async def close(self) -> None:
        """After the transactions that were begun or wait; idempotent."""
        for lane in (self._writer, self._reader, self._scanner):
            await lane.close()

    def _transact(
        self, connection: Connection, name: str, work: Work[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        with connection.begin():
            result = work(Transaction(connection, self._clock()), *args, **kwargs)
            crash_point(f"{name}.before_commit")
        crash_point(f"{name}.after_commit")
        return result

    def _look(self, connection: Connection, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with connection.begin():
            return work(Transaction(connection, self._clock()), *args, **kwargs)


_REFUSALS = (OperationalError, DatabaseError)
"""What the file and its disk are to blame for; the kinds beside them (a broken constraint, say) are defects."""


class _Lane:
    """One thread with a connection of its own: what is given to it runs in order, one at a time."""

    def __init__(self, engine: Engine, name: str, *, is_writer: bool = False):
        self._engine = engine
        self._is_writer = is_writer
        self._connection: Connection | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"manifest-{name}")
        self._is_closed = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        if self._is_closed:
            raise Unavailable("the manifest is closed")
        return await in_executor(self._executor, self._run, work)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        await in_executor(self._executor, self._disconnect)
        self._executor.shutdown()

    def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = _connect(self._engine, is_writer=self._is_writer)
            return work(self._connection)
        except DatabaseError as error:
            if type(error) not in _REFUSALS:
                raise
            raise Unavailable(f"the manifest's database refused: {error.orig}") from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _create_private(path: Path) -> None:
    """SQLite gives its own files the mode of this one. Raises StartupError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StartupError(f"cannot open the database {path}: {error.strerror}") from error


def _refusal(path: Path, error: sqlite3.Error | DBAPIError) -> StartupError:
    """What the start ends with, without the statement that met it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    match getattr(cause, "sqlite_errorcode", None):
        case sqlite3.SQLITE_NOTADB:
            return ForeignDatabase(f"{path} is not a database of Ragstone's, or damaged: {cause}")
        case sqlite3.SQLITE_CORRUPT:
            return StartupError(f"the database {path} is damaged: {cause}; restore a backup")
    return StartupError(f"cannot open the database {path}: {cause}")


def _engine(path: Path, busy_timeout_s: float) -> Engine:
    """One whose transactions begin as the connection is told, not when the driver sees fit."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": busy_timeout_s},
        poolclass=NullPool,
        hide_parameters=True,  # an error's text goes to the log, titles and metadata must not
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("foreign_keys = ON", "synchronous = FULL", "fullfsync = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options()["begin"])

    return engine


def _connect(engine: Engine, *, is_writer: bool) -> Connection:
    """A reader's transaction is a snapshot; a writer's excludes other writers from its beginning."""
    return engine.connect().execution_options(begin="BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _enable_wal(path: Path, busy_timeout_s: float) -> None:
    """The mode lasts in the file. Changing it does not wait for other processes, so we do."""
    give_up_at = time.monotonic() + busy_timeout_s
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.02)
    if mode != "wal":
        raise StartupError(f"{path} cannot use write-ahead logging; put the data directory on a local disk")
