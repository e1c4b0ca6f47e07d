"""Collections: names that documents are filed under."""

from sqlalchemy import and_, bindparam, delete, func, insert, select

from ragstone.core.errors import CollectionExists, CollectionNotEmpty, CollectionNotFound, Conflict
from ragstone.core.models import DEFAULT_COLLECTION, Collection, Page
from ragstone.storage.cursors import decode_cursor, encode_cursor
from ragstone.storage.database import Transaction
from ragstone.storage.deletion import tombstone, tombstoned
from ragstone.storage.tables import collections, documents

_EXISTS = select(collections.c.name).where(
    collections.c.tenant_id == bindparam("tenant_id"), collections.c.name == bindparam("name")
)
_SIZE = (
    select(func.count())
    .where(
        documents.c.tenant_id == collections.c.tenant_id,
        documents.c.collection == collections.c.name,
        documents.c.deleted_at.is_(None),
    )
    .scalar_subquery()
)
_COLLECTIONS = select(
    collections.c.name, collections.c.description, collections.c.created_at, _SIZE.label("documents")
)


def require_collection(tx: Transaction, tenant_id: str, name: str) -> None:
    """Raises CollectionNotFound."""
    if tx.execute(_EXISTS, {"tenant_id": tenant_id, "name": name}).first() is None:
        raise unknown_collection(name)


def unknown_collection(name: str) -> CollectionNotFound:
    """The error with its message."""
    return CollectionNotFound(f"there is no collection {name!r}")


def create(tx: Transaction, tenant_id: str, name: str, description: str) -> Collection:
    """See Manifest.create_collection."""
    if tx.execute(_EXISTS, {"tenant_id": tenant_id, "name": name}).first() is not None:
        raise CollectionExists(f"there is already a collection {name!r}")
    tx.execute(
        insert(collections).values(tenant_id=tenant_id, name=name, description=description, created_at=tx.now)
    )
    return Collection(name, description, tx.now)


def get(tx: Transaction, tenant_id: str, name: str) -> Collection:
    """See Manifest.get_collection."""
    found = tx.execute(
        _COLLECTIONS.where(collections.c.tenant_id == tenant_id, collections.c.name == name)
    ).first()
    if found is None:
        raise unknown_collection(name)
    return Collection(*found)


def list_page(tx: Transaction, tenant_id: str, *, limit: int, cursor: str | None) -> Page[Collection]:
    """See Manifest.list_collections."""
    listing = _COLLECTIONS.where(collections.c.tenant_id == tenant_id).order_by(collections.c.name)
    if cursor is not None:
        (last,) = decode_cursor(cursor, "collections", [str])
        listing = listing.where(collections.c.name > last)
    found = [Collection(*row) for row in tx.execute(listing.limit(limit + 1))]
    has_more = len(found) > limit
    return Page(
        tuple(found[:limit]), encode_cursor("collections", [found[limit - 1].name]) if has_more else None
    )


def delete_with_documents(tx: Transaction, tenant_id: str, name: str, *, cascade: bool) -> int:
    """See Manifest.delete_collection."""
    if name == DEFAULT_COLLECTION:
        raise Conflict(f"the collection {name!r} always exists; delete its documents instead")
    require_collection(tx, tenant_id, name)
    inside = and_(documents.c.tenant_id == tenant_id, documents.c.collection == name)
    if (
        not cascade
        and tx.execute(select(documents.c.id).where(inside, documents.c.deleted_at.is_(None))).first()
    ):
        raise CollectionNotEmpty(
            f"the collection {name!r} holds documents; delete it with cascade, or them first"
        )
    purge = tombstone(tx, tenant_id, [inside])
    tx.execute(delete(collections).where(collections.c.tenant_id == tenant_id, collections.c.name == name))
    return 0 if purge is None else tombstoned(tx, purge)
