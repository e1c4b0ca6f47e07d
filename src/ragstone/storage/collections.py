"""Collections: names that documents are filed under."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import BigInteger, Text, and_, bindparam, delete, func, insert, select, tuple_, update

from ragstone.core.errors import CollectionExists, CollectionNotEmpty, CollectionNotFound, Conflict
from ragstone.core.filters import epoch_micros
from ragstone.core.models import (
    DEFAULT_COLLECTION,
    Collection,
    CollectionPatch,
    CollectionState,
    JobState,
    Page,
    Scope,
)
from ragstone.storage.cursors import decode_cursor, encode_cursor
from ragstone.storage.database import Transaction
from ragstone.storage.deletion import tombstone, tombstoned
from ragstone.storage.files import require_only_copies
from ragstone.storage.listing import in_scope
from ragstone.storage.rows import shown
from ragstone.storage.tables import collections, documents, jobs

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
    collections.c.name,
    collections.c.description,
    collections.c.created_at,
    _SIZE.label("documents"),
    collections.c.title,
    collections.c.metadata,
)
_AT_WORK = (JobState.QUEUED, JobState.RUNNING)


def require_collection(tx: Transaction, tenant_id: str, name: str) -> None:
    """Raises CollectionNotFound."""
    if tx.execute(_EXISTS, {"tenant_id": tenant_id, "name": name}).first() is None:
        raise unknown_collection(name)


def unknown_collection(name: str) -> CollectionNotFound:
    """The error with its message."""
    return CollectionNotFound(f"there is no collection {name!r}")


def create(
    tx: Transaction, tenant_id: str, name: str, description: str, title: str, metadata: Mapping[str, str]
) -> Collection:
    """See Manifest.create_collection."""
    if tx.execute(_EXISTS, {"tenant_id": tenant_id, "name": name}).first() is not None:
        raise CollectionExists(f"there is already a collection {name!r}")
    said = {"name": name, "description": description, "title": title, "metadata": dict(metadata)}
    tx.execute(insert(collections).values(tenant_id=tenant_id, created_at=tx.now, **said))
    return Collection(name, description, tx.now, 0, title, metadata)


def change(tx: Transaction, tenant_id: str, name: str, patch: CollectionPatch) -> Collection:
    """See Manifest.update_collection."""
    said = {"title": patch.title, "metadata": None if patch.metadata is None else dict(patch.metadata)}
    values = {key: value for key, value in said.items() if value is not None}
    if values:
        is_it = and_(collections.c.tenant_id == tenant_id, collections.c.name == name)
        tx.execute(update(collections).where(is_it).values(values))
    return get(tx, tenant_id, name)


def state(tx: Transaction, tenant_id: str, name: str) -> CollectionState:
    """See Manifest.collection_state."""
    whole = in_scope(tx, Scope(tenant_id, name)).where(documents.c.parent_id.is_(None))
    inside = whole.with_only_columns(
        documents.c.visible_version.is_not(None).label("is_ready"),
        jobs.c.state,
        func.count(),
        func.sum(shown.c.bytes),
        maintain_column_froms=True,
    )
    counts, size = Counter[str](), 0
    for is_ready, job_state, documents_, bytes_ in tx.execute(
        inside.group_by(documents.c.visible_version.is_not(None), jobs.c.state)
    ):
        counts["ready" if is_ready else "working" if job_state in _AT_WORK else job_state.value] += documents_
        size += int(bytes_)
    return CollectionState(counts["working"], counts["ready"], counts["failed"], counts["cancelled"], size)


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


def delete_with_copies(tx: Transaction, tenant_id: str, name: str) -> int:
    """See Manifest.delete_collection_of_copies."""
    require_collection(tx, tenant_id, name)
    require_only_copies(tx, Scope(tenant_id, name))
    return delete_with_documents(tx, tenant_id, name, cascade=True)


def list_by_age(
    tx: Transaction, tenant_id: str, *, beside: str | None, is_descending: bool, limit: int
) -> tuple[list[Collection], bool]:
    """See Manifest.collections_beside."""
    key = (collections.c.created_at, collections.c.name)
    listing = _COLLECTIONS.where(collections.c.tenant_id == tenant_id)
    if beside is not None:
        known = get(tx, tenant_id, beside)
        last = tuple_(epoch_micros(known.created_at), known.name, types=[BigInteger(), Text()])
        listing = listing.where(tuple_(*key) < last if is_descending else tuple_(*key) > last)
    listing = listing.order_by(*(column.desc() if is_descending else column for column in key))
    found = [Collection(*row) for row in tx.execute(listing.limit(limit + 1))]
    return found[:limit], len(found) > limit


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
