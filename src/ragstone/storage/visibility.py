"""The two look-ups on the path of every query, as quick as SQLite can be asked.

They run where they are called, on the event loop's thread: with write-ahead logging a read waits for no writer, and
30 documents take 0.15 ms. A hop to a thread would double that, and under load wait for the interpreter's lock
(measured with 32 busy tasks: 45 ms instead of 0.2). What would wait or takes long goes to a thread all the same.
"""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, select

from ragstone.core.filters import epoch_micros
from ragstone.core.models import Scope, VisibleDocument
from ragstone.storage.collections import require_collection, unknown_collection
from ragstone.storage.database import Database, Transaction
from ragstone.storage.reading import is_unexpired
from ragstone.storage.tables import documents

MOST_INLINE = 200
"""Documents that are looked up on the event loop's thread (about half a millisecond)."""

_COLLECTION = "SELECT 1 FROM collections WHERE tenant_id = ? AND name = ?"
# One row, so that the interpreter's lock is let go once and not once a document. The plus signs keep SQLite from
# walking through the whole collection by an index.
_VISIBLE = """
SELECT json_group_array(json_array(id, visible_version, title, json(metadata)))
FROM documents
WHERE id IN (SELECT value FROM json_each(?)) AND +tenant_id = ? AND +collection = ?
  AND +deleted_at IS NULL AND visible_version IS NOT NULL AND (expires_at IS NULL OR expires_at > ?)
"""
_VISIBLE_ANYWHERE = select(
    documents.c.id, documents.c.visible_version, documents.c.title, documents.c.metadata
).where(
    documents.c.id.in_(bindparam("ids", expanding=True)),
    documents.c.tenant_id == bindparam("tenant_id"),
    documents.c.collection == bindparam("collection"),
    documents.c.deleted_at.is_(None),
    documents.c.visible_version.is_not(None),
)


class Visibility:
    """Answers from a connection of its own. Each answer sees all that was committed before it, by any process."""

    def __init__(self, database: Database):
        self._database = database
        self._connection = _connect(database.path)

    async def require_collection(self, scope: Scope) -> None:
        """See Manifest.require_collection."""
        try:
            found = self._connection.execute(_COLLECTION, (scope.tenant_id, scope.collection)).fetchone()
        except sqlite3.OperationalError:
            await self._database.read(require_collection, scope.tenant_id, scope.collection)
            return
        if found is None:
            raise unknown_collection(scope.collection)

    async def visible_documents(self, scope: Scope, ids: Sequence[str]) -> dict[str, VisibleDocument]:
        """See Manifest.visible_documents."""
        if len(ids) > MOST_INLINE:
            return await self._database.read(_visible_documents, scope, ids)
        try:
            found = self._look_up(scope, ids)
        except sqlite3.OperationalError:
            return await self._database.read(_visible_documents, scope, ids)
        return {row[0]: VisibleDocument(*row) for row in found}

    def close(self) -> None:
        """Idempotent."""
        self._connection.close()

    def _look_up(self, scope: Scope, ids: Sequence[str]) -> list[Any]:
        now = epoch_micros(self._database.now())
        parameters = (json.dumps(list(ids)), scope.tenant_id, scope.collection, now)
        (found,) = self._connection.execute(_VISIBLE, parameters).fetchone()
        rows: list[Any] = json.loads(found)
        return rows


def _connect(path: Path) -> sqlite3.Connection:
    """One that never waits: a lock (another process recovers the log) is an error at once."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _visible_documents(tx: Transaction, scope: Scope, ids: Sequence[str]) -> dict[str, VisibleDocument]:
    parameters = {"ids": list(ids), "tenant_id": scope.tenant_id, "collection": scope.collection}
    visible = _VISIBLE_ANYWHERE.where(is_unexpired(tx.now))
    return {row[0]: VisibleDocument(*row) for row in tx.execute(visible, parameters)}
