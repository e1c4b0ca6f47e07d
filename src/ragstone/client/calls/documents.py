"""Documents that are there: looking, changing, deleting."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from ragstone.api.schemas.documents import (
    BulkDeleteReply,
    ChunkPageReply,
    DeleteReceipt,
    DocumentPage,
    DocumentReply,
    UploadReply,
    VersionList,
)
from ragstone.client.call import Call, Json, filter_text, given, part_of_path
from ragstone.core.models import Unset

Status: TypeAlias = Literal["queued", "processing", "ready", "failed"]
Sort: TypeAlias = Literal["created_at", "-created_at", "title"]
UNSET = Unset.UNSET
M = TypeVar("M", bound=BaseModel)


def list_documents(
    *,
    collection: str = "default",
    status: Status | None = None,
    title: str | None = None,
    parent_id: str | None = None,
    filter: Json | None = None,  # noqa: A002 - the API's name for it
    sort: Sort | None = None,
    page_size: int | None = None,
    cursor: str | None = None,
) -> Call[DocumentPage]:
    """Newest first unless sorted otherwise; `title` is a part of it, in any case."""
    params = given(
        collection=collection,
        status=status,
        title=title,
        parent_id=parent_id,
        filter=None if filter is None else filter_text(filter),
        sort=sort,
        limit=page_size,
        cursor=cursor,
    )
    return Call(
        method="GET",
        path="/documents",
        params=params,
        parse=DocumentPage.model_validate_json,
        is_repeatable=True,
    )


def get(document_id: str) -> Call[DocumentReply]:
    """Its state, and what is pending behind it."""
    return _look(document_id, "", DocumentReply)


def content(document_id: str, *, version: int | None = None) -> Call[bytes]:
    """The original bytes, of the visible version unless another is named."""
    return Call(
        method="GET",
        path=_path(document_id, "/content"),
        params=given(version=version),
        parse=bytes,
        is_repeatable=True,
    )


def text(document_id: str, *, version: int | None = None) -> Call[str]:
    """The extracted text, which all offsets refer to."""
    return Call(
        method="GET",
        path=_path(document_id, "/text"),
        params=given(version=version),
        parse=_decoded,
        is_repeatable=True,
    )


def list_chunks(
    document_id: str, *, page_size: int | None = None, cursor: str | None = None
) -> Call[ChunkPageReply]:
    """Of the visible version, in reading order."""
    return Call(
        method="GET",
        path=_path(document_id, "/chunks"),
        params=given(limit=page_size, cursor=cursor),
        parse=ChunkPageReply.model_validate_json,
        is_repeatable=True,
    )


def versions(document_id: str) -> Call[VersionList]:
    """All that are kept, newest first."""
    return _look(document_id, "/versions", VersionList)


def update(
    document_id: str,
    *,
    title: str | Unset = UNSET,
    metadata: Json | Unset | None = UNSET,
    expires_at: datetime | str | Unset | None = UNSET,
) -> Call[DocumentReply]:
    """What is said of a document. Metadata are merged: None removes a key, or, for the whole, all. `expires_at` None
    removes the expiry."""
    moment = expires_at.isoformat() if isinstance(expires_at, datetime) else expires_at
    members = {"title": title, "metadata": metadata, "expires_at": moment}
    return Call(
        method="PATCH",
        path=_path(document_id),
        json={name: value for name, value in members.items() if value is not UNSET},
        parse=DocumentReply.model_validate_json,
        is_repeatable=True,
    )


def restore(document_id: str, version: int) -> Call[UploadReply]:
    """The bytes of an earlier version as a new one; the visible one answers until the switch."""
    return _change("POST", _path(document_id, f"/versions/{version}/restore"), UploadReply)


def reindex(document_id: str) -> Call[UploadReply]:
    """Parse, chunk and embed the stored bytes again, as a new version."""
    return _change("POST", _path(document_id, "/reindex"), UploadReply)


def delete(document_id: str) -> Call[DeleteReceipt]:
    """Works in every state; invisible at once. The receipt says what went."""
    return _change("DELETE", _path(document_id), DeleteReceipt)


def delete_matching(
    filter: Json, *, collection: str = "default", dry_run: bool = False  # noqa: A002 - the API's name for it
) -> Call[BulkDeleteReply]:
    """All that pass the filter are invisible at once, and the job purges them; with `dry_run` they are only counted."""
    params = {"filter": filter_text(filter), "collection": collection, "dry_run": str(dry_run).lower()}
    return _change("DELETE", "/documents", BulkDeleteReply, params=params)


def _look(document_id: str, what: str, model: type[M]) -> Call[M]:
    return Call(
        method="GET",
        path=_path(document_id, what),
        parse=model.model_validate_json,
        is_repeatable=True,
    )


def _change(method: str, path: str, model: type[M], **request: Any) -> Call[M]:
    """Done twice, it is another change, or a 404."""
    return Call(method=method, path=path, parse=model.model_validate_json, is_repeatable=False, **request)


def _path(document_id: str, what: str = "") -> str:
    return f"/documents/{part_of_path(document_id)}{what}"


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8")
