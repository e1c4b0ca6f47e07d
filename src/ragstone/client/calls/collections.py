"""Collections."""

from ragstone.api.schemas.documents import CollectionDeleted, CollectionPage, CollectionReply
from ragstone.client.call import Call, given, part_of_path


def list_collections(*, page_size: int | None = None, cursor: str | None = None) -> Call[CollectionPage]:
    """By name."""
    return Call(
        method="GET",
        path="/collections",
        params=given(limit=page_size, cursor=cursor),
        parse=CollectionPage.model_validate_json,
        is_repeatable=True,
    )


def create(name: str, *, description: str | None = None) -> Call[CollectionReply]:
    """A name is taken once; creating it again is a Conflict."""
    return Call(
        method="POST",
        path="/collections",
        json=given(name=name, description=description),
        parse=CollectionReply.model_validate_json,
        is_repeatable=False,
    )


def get(name: str) -> Call[CollectionReply]:
    """With its number of documents."""
    return Call(
        method="GET",
        path=f"/collections/{part_of_path(name)}",
        parse=CollectionReply.model_validate_json,
        is_repeatable=True,
    )


def delete(name: str, *, cascade: bool = False) -> Call[CollectionDeleted]:
    """One that holds documents goes only with `cascade`; `default` stays."""
    return Call(
        method="DELETE",
        path=f"/collections/{part_of_path(name)}",
        params={"cascade": str(cascade).lower()},
        parse=CollectionDeleted.model_validate_json,
        is_repeatable=False,
    )
