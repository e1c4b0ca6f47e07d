"""`/v1/models`: each collection, the configured models, and the encoder."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from ragstone.api.deps import Services, Tenant
from ragstone.api.openai.base import PREFIX, named_by
from ragstone.api.openai.errors import openai_errors
from ragstone.api.schemas.base import ReplyModel
from ragstone.bootstrap import Container
from ragstone.core.errors import CollectionNotFound, ModelNotFound
from ragstone.core.models import Collection

router = APIRouter(prefix="/v1/models", tags=["OpenAI's dialect"])
_PAGE = 200
MOST_COLLECTIONS = 1_000  # in one list, which OpenAI does not page


class Model(ReplyModel):
    """What may be named as `model`."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(ReplyModel):
    """All of them."""

    object: Literal["list"]
    data: list[Model]


@router.get("", responses=openai_errors(403, 422, 503), summary="List models")
async def list_models(services: Services, tenant: Tenant) -> ModelList:
    """Collections by name, at most a thousand; then the configured models and the encoder."""
    collections, cursor, has_more = list[Collection](), None, True
    while has_more and len(collections) < MOST_COLLECTIONS:
        page = await services.collections.list(tenant, limit=_PAGE, cursor=cursor)
        collections += page.items
        cursor, has_more = page.next_cursor, page.next_cursor is not None
    return ModelList(object="list", data=[*map(_of_collection, collections), *_configured(services)])


@router.get("/{model:path}", responses=openai_errors(403, 404, 422, 503), summary="Get a model")
async def get_model(model: Annotated[str, Path(max_length=200)], services: Services, tenant: Tenant) -> Model:
    """One of them."""
    configured = {each.id: each for each in _configured(services)}
    if model in configured:
        return configured[model]
    collection, _ = named_by(model, services)
    try:
        return _of_collection(await services.collections.get(tenant, collection))
    except CollectionNotFound as error:
        raise ModelNotFound(f"there is no model {model!r}") from error


def encoder_name(services: Container) -> str:
    """The encoder's, as it stands in its fingerprint between the provider and what was measured of it."""
    _, *said = services.query.embedding_model.split(":")
    return ":".join(said[:-3] or said[:1]).partition("@")[0]


def _configured(services: Container) -> list[Model]:
    named = [(name, provider) for provider, name in services.query.models]
    return [
        Model(id=name, object="model", created=0, owned_by=owner)
        for name, owner in (*named, (encoder_name(services), "ragstone"))
    ]


def _of_collection(collection: Collection) -> Model:
    created = int(collection.created_at.timestamp())
    return Model(id=f"{PREFIX}{collection.name}", object="model", created=created, owned_by="ragstone")
