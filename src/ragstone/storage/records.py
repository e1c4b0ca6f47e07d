"""What interfaces have to remember beyond documents. A record that quotes a document goes when the document does."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ScalarSelect, Select, delete, func, insert, select

from ragstone.core.errors import RecordNotFound
from ragstone.core.models import Record, RecordKind
from ragstone.storage.database import Transaction
from ragstone.storage.reading import is_unexpired
from ragstone.storage.tables import documents, record_documents, records

MOST_RECORDS = 10_000
"""Of a kind and tenant; the oldest go first."""


def put(tx: Transaction, tenant_id: str, record: Record) -> None:
    """See Manifest.put_record."""
    tx.execute(delete(records).where(records.c.expires_at <= tx.now))
    quoted = sorted(set(record.document_ids))
    if _live(tx, tenant_id, quoted) != len(quoted):
        raise unknown_record(record.kind, record.id)
    tx.execute(
        insert(records).values(
            id=record.id,
            tenant_id=tenant_id,
            kind=record.kind,
            content=dict(record.content),
            created_at=record.created_at,
            expires_at=record.expires_at,
        )
    )
    if quoted:
        tx.execute(
            insert(record_documents), [{"record_id": record.id, "document_id": each} for each in quoted]
        )
    tx.execute(
        delete(records).where(
            records.c.tenant_id == tenant_id,
            records.c.kind == record.kind,
            records.c.created_at < _oldest_kept(tenant_id, record.kind),
        )
    )


def get(tx: Transaction, tenant_id: str, kind: RecordKind, record_id: str) -> Record:
    """See Manifest.get_record."""
    found = tx.execute(
        select(records).where(
            records.c.id == record_id,
            records.c.tenant_id == tenant_id,
            records.c.kind == kind,
            records.c.expires_at > tx.now,
        )
    ).first()
    if found is None:
        raise unknown_record(kind, record_id)
    its_documents = select(record_documents.c.document_id).where(record_documents.c.record_id == record_id)
    quoted = tx.execute(its_documents.order_by(record_documents.c.document_id)).scalars().all()
    if _live(tx, tenant_id, quoted) != len(quoted):  # one has expired and is not tombstoned yet
        raise unknown_record(kind, record_id)
    return Record(
        id=found.id,
        kind=found.kind,
        content=found.content,
        created_at=found.created_at,
        expires_at=found.expires_at,
        document_ids=tuple(quoted),
    )


def drop(tx: Transaction, tenant_id: str, kind: RecordKind, record_id: str) -> None:
    """See Manifest.delete_record."""
    get(tx, tenant_id, kind, record_id)
    tx.execute(delete(records).where(records.c.id == record_id))


def forget_quoting(tx: Transaction, which: Select[Any] | Sequence[str]) -> None:
    """Drop the records that quote these documents: their ids, or a selection of them."""
    quoting = select(record_documents.c.record_id).where(record_documents.c.document_id.in_(which))
    tx.execute(delete(records).where(records.c.id.in_(quoting)))


def _oldest_kept(tenant_id: str, kind: RecordKind) -> ScalarSelect[Any]:
    """Null, which nothing is older than, while there are not so many."""
    by_age = select(records.c.created_at).where(records.c.tenant_id == tenant_id, records.c.kind == kind)
    return by_age.order_by(records.c.created_at.desc()).offset(MOST_RECORDS - 1).limit(1).scalar_subquery()


def _live(tx: Transaction, tenant_id: str, ids: Sequence[str]) -> int:
    """How many of these documents can still be seen."""
    seen = select(func.count()).where(
        documents.c.id.in_(ids),
        documents.c.tenant_id == tenant_id,
        documents.c.deleted_at.is_(None),
        is_unexpired(tx.now),
    )
    counted: int = tx.execute(seen).scalar_one() if ids else 0
    return counted


def unknown_record(kind: RecordKind, record_id: str) -> RecordNotFound:
    """The error with its message."""
    return RecordNotFound(f"there is no {kind.value} {record_id!r}, or a document that it quotes is gone")
