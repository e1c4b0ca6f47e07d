"""Lists of documents: filtered, sorted, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, Column, Select, Text, and_, bindparam, func, select, tuple_

from ragstone.core.errors import InvalidRequest
from ragstone.core.filters import METADATA_PREFIX, Filter, Leaf, epoch_micros, matches
from ragstone.core.models import Document, DocumentName, DocumentStatus, Page, Scope
from ragstone.storage.cursors import decode_cursor, encode_cursor
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.reading import is_unexpired, load_documents, unknown_document
from ragstone.storage.rows import DOCUMENTS, shown, status_is
from ragstone.storage.tables import documents, jobs, title_key, versions

_BATCH = 200  # rows that are read ahead while a filter looks for the ones that pass
_FILTERED = (
    documents.c.id,
    documents.c.source,
    documents.c.title,
    documents.c.created_at,
    documents.c.metadata,
    shown.c.filename,
    shown.c.media_type,
)
_NAMED = (
    select(documents.c.id, versions.c.version, documents.c.copy_of, versions.c.filename)
    .join(
        versions,
        and_(
            versions.c.document_id == documents.c.id,
            versions.c.version == func.coalesce(documents.c.visible_version, documents.c.newest_version),
        ),
    )
    .where(
        documents.c.id.in_(bindparam("ids", expanding=True)),
        documents.c.tenant_id == bindparam("tenant_id"),
        documents.c.collection == bindparam("collection"),
        documents.c.deleted_at.is_(None),
    )
)
_NAMES = {"document_id": documents.c.id, "source": documents.c.source}


@dataclass(frozen=True, slots=True)
class _Order:
    """By a column, ties by id in the same direction."""

    column: Column[Any]
    is_descending: bool = False

    @property
    def is_by_time(self) -> bool:
        return self.column is documents.c.created_at

    @property
    def cursor_types(self) -> list[type[str | int]]:
        return [int if self.is_by_time else str, str]

    def cursor_key(self, row: AnyRow) -> list[str | int]:
        return [epoch_micros(row.created_at) if self.is_by_time else row.title_key, row.id]

    def apply(self, listing: Select[Any], after: list[Any] | None) -> Select[Any]:
        """Sorted, and only what follows the cursor's key."""
        key = (self.column, documents.c.id)
        listing = listing.order_by(*(column.desc() if self.is_descending else column for column in key))
        if after is None:
            return listing
        value, document_id = after
        # As stored: a forged number may be no moment that a datetime can hold.
        last = tuple_(value, document_id, types=[BigInteger() if self.is_by_time else Text(), Text()])
        return listing.where(tuple_(*key) < last if self.is_descending else tuple_(*key) > last)


_ORDERS = {
    "created_at": _Order(documents.c.created_at),
    "-created_at": _Order(documents.c.created_at, is_descending=True),
    "title": _Order(documents.c.title_key),
}


def list_documents(
    tx: Transaction,
    scope: Scope,
    *,
    status: DocumentStatus | None,
    title: str | None,
    parent_id: str | None,
    where: Filter | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page[Document]:
    """See Manifest.list_documents."""
    if sort not in _ORDERS:
        raise InvalidRequest(f"unknown sort {sort!r}; known: {', '.join(_ORDERS)}")
    order = _ORDERS[sort]
    after = None if cursor is None else decode_cursor(cursor, f"documents {sort}", order.cursor_types)
    listing = order.apply(_filtered(tx, scope, status, title, parent_id), after)
    found = (
        _first_rows(tx, listing, limit + 1) if where is None else _passing_rows(tx, listing, where, limit + 1)
    )
    items = found[:limit]
    has_more = len(found) > limit
    next_cursor = encode_cursor(f"documents {sort}", order.cursor_key(items[-1])) if has_more else None
    return Page(load_documents(tx, items), next_cursor)


def documents_beside(
    tx: Transaction, scope: Scope, *, beside: str | None, is_descending: bool, limit: int
) -> tuple[list[Document], bool]:
    """See Manifest.documents_beside."""
    listing = in_scope(tx, scope).where(documents.c.parent_id.is_(None))
    return walk(tx, scope.tenant_id, listing, beside=beside, is_descending=is_descending, limit=limit)


def walk(
    tx: Transaction,
    tenant_id: str,
    listing: Select[Any],
    *,
    beside: str | None,
    is_descending: bool,
    limit: int,
) -> tuple[list[Document], bool]:
    """The next of a selection of DOCUMENTS by age behind the one with the id `beside`, and whether more follow. That one
    may have been deleted within a day: who deletes what it lists goes on. Raises DocumentNotFound."""
    order = _ORDERS["-created_at" if is_descending else "created_at"]
    after = None if beside is None else [epoch_micros(_made_at(tx, tenant_id, beside)), beside]
    found = _first_rows(tx, order.apply(listing, after), limit + 1)
    return list(load_documents(tx, found[:limit])), len(found) > limit


def _made_at(tx: Transaction, tenant_id: str, document_id: str) -> datetime:
    """Its first job was made with it, and outlives it by a day."""
    known = tx.execute(
        select(documents.c.created_at).where(
            documents.c.id == document_id, documents.c.tenant_id == tenant_id
        )
    ).scalar()
    if known is None:
        known = tx.execute(
            select(jobs.c.created_at)
            .where(jobs.c.document_id == document_id, jobs.c.tenant_id == tenant_id)
            .order_by(jobs.c.created_at)
            .limit(1)
        ).scalar()
    if known is None:
        raise unknown_document(document_id)
    moment: datetime = known
    return moment


def document_names(tx: Transaction, scope: Scope, ids: Sequence[str]) -> list[DocumentName]:
    """See Manifest.document_names."""
    key = {"ids": ids, "tenant_id": scope.tenant_id, "collection": scope.collection}
    return [DocumentName(*row) for row in tx.execute(_NAMED, key)]


def passing_ids(tx: Transaction, scope: Scope, where: Filter) -> list[str]:
    """Ids of all documents of a scope that pass."""
    return _passing_ids(tx, in_scope(tx, scope), where)


def in_tenant(tx: Transaction, tenant_id: str) -> Select[Any]:
    """DOCUMENTS of all collections whose time is not up."""
    return DOCUMENTS.where(documents.c.tenant_id == tenant_id, is_unexpired(tx.now))


def in_scope(tx: Transaction, scope: Scope) -> Select[Any]:
    """Those of one collection."""
    return in_tenant(tx, scope.tenant_id).where(documents.c.collection == scope.collection)


def _filtered(
    tx: Transaction, scope: Scope, status: DocumentStatus | None, title: str | None, parent_id: str | None
) -> Select[Any]:
    listing = in_scope(tx, scope)
    if parent_id is not None:
        listing = listing.where(documents.c.parent_id == parent_id)
    if status is not None:
        listing = listing.where(status_is(status))
    if title:
        # A substring on both databases; LIKE has wildcards, and SQLite limits the length of its pattern.
        key = documents.c.title_key
        listing = listing.where(func.replace(key, title_key(title), "") != key)
    return listing


def _first_rows(tx: Transaction, listing: Select[Any], most: int) -> Sequence[AnyRow]:
    return tx.execute(listing.limit(most)).all()


def _passing_rows(tx: Transaction, listing: Select[Any], where: Filter, most: int) -> Sequence[AnyRow]:
    """What a filter means is for `matches` alone to say, so it is asked row by row, with the few columns it needs."""
    ids = _passing_ids(tx, listing, where, most)
    found = {row.id: row for row in tx.execute(DOCUMENTS.where(documents.c.id.in_(ids)))}
    return [found[document_id] for document_id in ids]


def _passing_ids(tx: Transaction, listing: Select[Any], where: Filter, most: int | None = None) -> list[str]:
    narrow = (
        _narrowed(listing, where)
        .with_only_columns(*_FILTERED, maintain_column_froms=True)
        .execution_options(yield_per=_BATCH)
    )
    with tx.execute(narrow) as rows:
        return [row.id for row in islice((row for row in rows if matches(where, _fields(row))), most)]


def _narrowed(listing: Select[Any], where: Filter) -> Select[Any]:
    """A filter that lists the documents it means is not asked of all others, but of those that an index finds."""
    if not (isinstance(where, Leaf) and where.op == "in" and where.field in _NAMES):
        return listing
    names = [name for name in where.value if isinstance(name, str) and "\0" not in name]
    return listing.where(_NAMES[where.field].in_(names))


def _fields(row: AnyRow) -> dict[str, Any]:
    return {
        "document_id": row.id,
        "source": row.source,
        "title": row.title,
        "filename": row.filename,
        "media_type": row.media_type,
        "created_at": epoch_micros(row.created_at),
        **{f"{METADATA_PREFIX}{key}": value for key, value in row.metadata.items()},
    }
