"""Collections."""

from typing import Annotated

from fastapi import APIRouter, Path

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Cursor, Limit, Services, Tenant
from ragstone.api.errors import error_responses
from ragstone.api.schemas.base import CollectionName
from ragstone.api.schemas.documents import (
    CollectionDeleted,
    CollectionPage,
    CollectionReply,
    CollectionRequest,
)

router = APIRouter(prefix="/collections", tags=["collections"], route_class=JsonRoute)
Name = Annotated[CollectionName, Path(description="The collection's name.")]


@router.post(
    "",
    status_code=201,
    responses=error_responses(400, 403, 409, 413, 415, 422, 503),
    summary="Create a collection",
)
async def create_collection(body: CollectionRequest, services: Services, tenant: Tenant) -> CollectionReply:
    """A name is taken once; creating it again is 409."""
    collection = await services.collections.create(tenant, body.name, body.description)
    return CollectionReply.model_validate(collection)


@router.get("", responses=error_responses(403, 422, 503), summary="List collections")
async def list_collections(
    services: Services, tenant: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> CollectionPage:
    """By name."""
    page = await services.collections.list(tenant, limit=limit, cursor=cursor)
    return CollectionPage.model_validate(page)


@router.get("/{name}", responses=error_responses(403, 404, 422, 503), summary="Get a collection")
async def get_collection(name: Name, services: Services, tenant: Tenant) -> CollectionReply:
    """With its number of documents."""
    return CollectionReply.model_validate(await services.collections.get(tenant, name))


@router.delete("/{name}", responses=error_responses(403, 404, 409, 422, 503), summary="Delete a collection")
async def delete_collection(
    name: Name, services: Services, tenant: Tenant, *, cascade: bool = False
) -> CollectionDeleted:
    """A collection that holds documents goes only with `cascade=true`; `default` stays."""
    deleted = await services.collections.delete(tenant, name, cascade=cascade)
    return CollectionDeleted(name=name, documents_deleted=deleted)
