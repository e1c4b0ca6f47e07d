"""Documents as resources: those of all collections, each with the text that all offsets refer to."""

from dataclasses import dataclass

from mcp import MCPError, types

from ragstone.api.mcp.addresses import TEMPLATE, VERSION_TEMPLATE, address_of, parse_address
from ragstone.bootstrap import Container
from ragstone.core.errors import InvalidCursor, NotFound
from ragstone.core.models import Collection, Document, DocumentStatus, Page, Scope

PAGE = 100
PLAIN = "text/plain"

TEMPLATES = (
    types.ResourceTemplate(
        name="document",
        title="A document's text",
        uri_template=TEMPLATE,
        description="The extracted text of the visible version.",
        mime_type=PLAIN,
    ),
    types.ResourceTemplate(
        name="document_version",
        title="The text of one version of a document",
        uri_template=VERSION_TEMPLATE,
        description="The extracted text that the offsets of that version's citations refer to.",
        mime_type=PLAIN,
    ),
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: behind which collections, in which one, behind which of its documents. Empty is from the
    beginning."""

    collections: str = ""
    name: str = ""
    documents: str = ""

    @classmethod
    def of(cls, cursor: str | None) -> "_Place":
        if cursor is None:
            return cls()
        parts = cursor.split(".")
        if len(parts) != 3:
            raise InvalidCursor("the cursor was not issued by this list; start again without one")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.collections}.{self.name}.{self.documents}"


async def list_resources(services: Container, tenant: str, cursor: str | None) -> types.ListResourcesResult:
    """Searchable documents, collection by collection, in the order of their titles. Raises InvalidCursor."""
    place: _Place | None = _Place.of(cursor)
    while place is not None:
        found = await services.collections.list(tenant, limit=1, cursor=place.collections or None)
        if not found.items:
            break
        page = await _documents(services, tenant, found.items[0], place)
        place = _following(place, found, page)
        if page.items:
            resources = [_resource(document) for document in page.items]
            return types.ListResourcesResult(
                resources=resources, next_cursor=None if place is None else str(place)
            )
    return types.ListResourcesResult(resources=[])


async def read_resource(services: Container, tenant: str, address: str) -> types.ReadResourceResult:
    """Raises MCPError where there is none."""
    found = parse_address(address)
    if found is None:
        raise _unknown(address)
    try:
        text = await services.documents.text(tenant, *found)
    except NotFound as error:
        raise _unknown(address) from error
    content = types.TextResourceContents(uri=address, mime_type=PLAIN, text=text)
    return types.ReadResourceResult(contents=[content])


async def _documents(
    services: Container, tenant: str, collection: Collection, place: _Place
) -> Page[Document]:
    """A place in a collection that was deleted meanwhile is none in the one behind it."""
    return await services.documents.list(
        Scope(tenant, collection.name),
        status=DocumentStatus.READY,
        title=None,
        parent_id=None,
        where=None,
        sort="title",
        limit=PAGE,
        cursor=place.documents if place.name == collection.name and place.documents else None,
    )


def _following(place: _Place, found: Page[Collection], page: Page[Document]) -> _Place | None:
    if page.next_cursor is not None:
        return _Place(place.collections, found.items[0].name, page.next_cursor)
    return None if found.next_cursor is None else _Place(found.next_cursor)


def _resource(document: Document) -> types.Resource:
    changed = document.updated_at.isoformat().replace("+00:00", "Z")
    return types.Resource(
        uri=address_of(document.id),
        name=document.source or document.filename or document.title,
        title=document.title,
        description=f"In the collection {document.collection}; {document.characters} characters.",
        mime_type=PLAIN,
        annotations=types.Annotations(last_modified=changed),
    )


def _unknown(address: str) -> MCPError:
    return MCPError(code=types.INVALID_PARAMS, message="there is no such resource", data={"uri": address})
