"""Copying the whole database while it is used, into one file that needs no write-ahead log beside it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ragstone.core.errors import Unavailable
from ragstone.core.files import sync
from ragstone.core.models import ManifestCopy

_DOCUMENTS = "SELECT count(*) FROM documents WHERE deleted_at IS NULL AND visible_version IS NOT NULL"
_REFERENCES = """
SELECT sha256, deleted_at IS NULL AND retired_at IS NULL
FROM versions JOIN documents ON documents.id = versions.document_id
UNION ALL
SELECT text_sha256, deleted_at IS NULL AND visible_version IS version
FROM versions JOIN documents ON documents.id = versions.document_id
WHERE text_sha256 IS NOT NULL
UNION ALL
SELECT members.sha256, 0 FROM members
"""


def copy_database(source: Path, target: Path) -> ManifestCopy:
    """See Manifest.snapshot. Blocks. With a write-ahead log the copy is one read transaction: no writer waits for it."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # it is synced once, at the end
            with closing(sqlite3.connect(source, isolation_level=None)) as database:
                database.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            found = _contents(copy)
    except sqlite3.Error as error:
        raise Unavailable(f"the manifest cannot be copied: {error}") from error
    sync(target)
    return found


def _contents(copy: sqlite3.Connection) -> ManifestCopy:
    (documents,) = copy.execute(_DOCUMENTS).fetchone()
    references = copy.execute(_REFERENCES).fetchall()
    needed = frozenset(sha256 for sha256, is_needed in references if is_needed)
    return ManifestCopy(documents, needed, frozenset(sha256 for sha256, _ in references) - needed)
