"""Documents inside documents: made, renewed and deleted at the switch of the version that holds them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, select

from ragstone.core.context import for_request
from ragstone.core.models import IndexedVersion, JobKind, VersionState
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.deletion import tombstone
from ragstone.storage.reading import has_expired, version_row
from ragstone.storage.rows import DOCUMENTS
from ragstone.storage.tables import documents, members
from ragstone.storage.uploads import add_document, is_news, revised
from ragstone.storage.versions import NewVersion, append_version, supersede_pending

MEMBER_MARK = "!/"  # between a container's source and the path inside it, as in other programs' archive paths


def reconcile(tx: Transaction, switched: Sequence[IndexedVersion]) -> None:
    """After a switch: the parts of each document are those of its visible version, and no others."""
    for version in switched:
        inside = _members(tx, version)
        present = {row.member: row for row in tx.execute(_children_of(version.document_id))}
        if inside or present:
            with for_request(version.request_id):
                _reconcile(tx, version.document_id, inside, present)


def _reconcile(
    tx: Transaction, document_id: str, inside: Sequence[AnyRow], present: dict[str, AnyRow]
) -> None:
    parent = tx.execute(select(documents).where(documents.c.id == document_id)).one()
    names = {member.member for member in inside}
    staying = {name: row for name, row in present.items() if name in names and not has_expired(row, tx.now)}
    gone = [documents.c.id == row.id for name, row in present.items() if name not in staying]
    if gone:
        tombstone(tx, parent.tenant_id, gone)
    for member in inside:
        known = staying.get(member.member)
        if known is None:
            _add(tx, parent, member)
        elif is_news(known, member.sha256):
            _renew(tx, known, member)


def _add(tx: Transaction, parent: AnyRow, member: AnyRow) -> None:
    container = parent.source or parent.title
    size = version_row(tx, parent.id, parent.newest_version).chunk_tokens
    content = NewVersion(
        member.sha256,
        member.bytes,
        _name(member),
        member.media_type,
        None,
        parent.metadata,
        chunk_tokens=size,
    )
    add_document(
        tx,
        parent.tenant_id,
        parent.collection,
        content,
        source=f"{container}{MEMBER_MARK}{member.member}",
        parent=parent,
        member=member.member,
    )


def _renew(tx: Transaction, known: AnyRow, member: AnyRow) -> None:
    if known.newest_state is VersionState.PENDING:
        supersede_pending(tx, known.id, known.newest_version)
    content = revised(
        known,
        sha256=member.sha256,
        bytes=member.bytes,
        filename=_name(member),
        media_type=member.media_type,
        title=None,
        metadata=None,
    )
    append_version(tx, known, content, JobKind.INGEST)


def _members(tx: Transaction, version: IndexedVersion) -> Sequence[AnyRow]:
    these = and_(members.c.document_id == version.document_id, members.c.version == version.version)
    return tx.execute(select(members).where(these).order_by(members.c.member)).all()


def _children_of(document_id: str) -> Select[Any]:
    return DOCUMENTS.where(documents.c.parent_id == document_id)


def _name(member: AnyRow) -> str:
    return str(member.member).rsplit("/", 1)[-1]
