"""Files in the sense of OpenAI's dialect: a document and the copies that were made of it in other collections. A file is
there as long as one of them is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, exists, or_, tuple_
from sqlalchemy.sql import ColumnElement

from ragstone.core.errors import DocumentNotFound, HomeOfFile
from ragstone.core.models import Deletion, Document, Scope
from ragstone.storage.database import Transaction
from ragstone.storage.deletion import deletion_of, tombstone
from ragstone.storage.listing import in_scope, in_tenant, walk
from ragstone.storage.reading import load_documents
from ragstone.storage.tables import documents

_other = documents.alias("other")
_AT_ONCE = 500  # ids in one statement


def is_of_file(file_id: str) -> ColumnElement[bool]:
    """The document itself, and its copies."""
    return or_(documents.c.id == file_id, documents.c.copy_of == file_id)


def expiry_of(tx: Transaction, tenant_id: str, file_id: str) -> datetime | None:
    """When a file expires, and its copies with it. Raises DocumentNotFound."""
    found = tx.execute(_of_file(tx, tenant_id, file_id).limit(1)).first()
    if found is None:
        raise unknown_file(file_id)
    expires_at: datetime | None = found.expires_at
    return expires_at


def get(tx: Transaction, tenant_id: str, file_id: str) -> Document:
    """See Manifest.get_file."""
    found = tx.execute(_of_file(tx, tenant_id, file_id).limit(1)).all()
    if not found:
        raise unknown_file(file_id)
    return load_documents(tx, found)[0]


def attached(tx: Transaction, scope: Scope, file_ids: Sequence[str]) -> list[Document]:
    """See Manifest.attached_files."""
    found: list[Document] = []
    for start in range(0, len(file_ids), _AT_ONCE):
        some = file_ids[start : start + _AT_ONCE]
        rows = in_scope(tx, scope).where(or_(documents.c.id.in_(some), documents.c.copy_of.in_(some)))
        found += load_documents(tx, tx.execute(rows.order_by(documents.c.created_at, documents.c.id)).all())
    return found


def list_files(
    tx: Transaction, tenant_id: str, *, beside: str | None, is_descending: bool, limit: int
) -> tuple[list[Document], bool]:
    """See Manifest.list_files."""
    older = tuple_(_other.c.created_at, _other.c.id) < tuple_(documents.c.created_at, documents.c.id)
    has_another = exists().where(
        _is_there(tx),
        or_(_other.c.id == documents.c.copy_of, and_(_other.c.copy_of == documents.c.copy_of, older)),
    )
    files = in_tenant(tx, tenant_id).where(
        documents.c.parent_id.is_(None), or_(documents.c.copy_of.is_(None), ~has_another)
    )
    return walk(tx, tenant_id, files, beside=beside, is_descending=is_descending, limit=limit)


def delete(tx: Transaction, tenant_id: str, file_id: str) -> Deletion:
    """See Manifest.delete_file."""
    get(tx, tenant_id, file_id)
    which = and_(documents.c.tenant_id == tenant_id, is_of_file(file_id))
    job_id = tombstone(tx, tenant_id, [which], document_id=file_id)
    assert job_id is not None  # one was there a moment ago, in this transaction
    return deletion_of(tx, tenant_id, job_id)


def detach(tx: Transaction, scope: Scope, file_id: str) -> Deletion:
    """See Manifest.detach_file."""
    found = attached(tx, scope, [file_id])
    if not found:
        raise DocumentNotFound(f"the file {file_id!r} is not attached to {scope.collection!r}")
    (document,) = found[:1]
    elsewhere = _of_file(tx, scope.tenant_id, file_id).where(documents.c.id != document.id)
    if document.parent_id is not None or tx.execute(elsewhere.limit(1)).first() is None:
        raise HomeOfFile(f"the file {file_id!r} is nowhere but in {scope.collection!r}; delete the file")
    job_id = tombstone(tx, scope.tenant_id, [documents.c.id == document.id], document_id=document.id)
    assert job_id is not None
    return deletion_of(tx, scope.tenant_id, job_id)


def require_only_copies(tx: Transaction, scope: Scope) -> None:
    """Raises HomeOfFile where a file would be lost with the collection."""
    has_another = exists().where(
        _is_there(tx),
        _other.c.id != documents.c.id,
        or_(_other.c.id == documents.c.copy_of, _other.c.copy_of == documents.c.copy_of),
        _other.c.collection != scope.collection,
    )
    alone = in_scope(tx, scope).where(
        documents.c.parent_id.is_(None), or_(documents.c.copy_of.is_(None), ~has_another)
    )
    found = tx.execute(alone.limit(1)).first()
    if found is not None:
        raise HomeOfFile(
            f"the file {found.id!r}, and perhaps others, is nowhere but in {scope.collection!r}; delete these files "
            "first, or the collection with cascade"
        )


def _is_there(tx: Transaction) -> ColumnElement[bool]:
    """Neither deleted nor expired."""
    is_unexpired = or_(_other.c.expires_at.is_(None), _other.c.expires_at > tx.now)
    return and_(_other.c.deleted_at.is_(None), is_unexpired)


def unknown_file(file_id: str) -> DocumentNotFound:
    """The error with its message."""
    return DocumentNotFound(f"there is no document {file_id!r}")


def _of_file(tx: Transaction, tenant_id: str, file_id: str) -> Select[Any]:
    """The document that was uploaded first, then its copies by age."""
    return (
        in_tenant(tx, tenant_id)
        .where(is_of_file(file_id))
        .order_by(documents.c.copy_of.is_not(None), documents.c.created_at, documents.c.id)
    )
