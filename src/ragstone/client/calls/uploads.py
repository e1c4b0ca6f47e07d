"""Bytes and texts as documents. Each call has an `Idempotency-Key`, so that it may be sent again: within 24 hours the
same key makes nothing twice."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ragstone.api.schemas.documents import UploadManyReply, UploadReply
from ragstone.client.call import Call, Json, given, part_of_path
from ragstone.client.contents import Content, File, Form, file_of
from ragstone.client.progress import Follow, OnProgress

OnDuplicate: TypeAlias = Literal["version", "replace", "skip", "error"]
ALL_REFUSED = frozenset({400, 404, 409, 413, 415, 422, 429, 503})  # then each file has its own error


@dataclass(frozen=True, slots=True)
class Upload:
    """A call, and whether its work is waited for."""

    call: Call[UploadReply]
    follow: Follow
    wait: bool


def upload(
    content: Content,
    *,
    filename: str | None = None,
    collection: str = "default",
    title: str | None = None,
    source: str | None = None,
    metadata: Json | None = None,
    on_duplicate: OnDuplicate | None = None,
    idempotency_key: str | None = None,
    wait: bool = False,
    on_progress: OnProgress | None = None,
    wait_timeout_s: float | None = None,
) -> Upload:
    """A file, by its path, as bytes, or open. When this answers, the server has it for good; `job` makes it searchable,
    and is None where nothing is to do. With `wait` it answers when the document is searchable; a JobFailed says why it
    never will be."""
    fields = _fields(
        collection=collection, title=title, source=source, metadata=metadata, on_duplicate=on_duplicate
    )
    call = Call(
        method="POST",
        path="/documents",
        form=Form(fields, "file", [file_of(content, filename)]),
        headers=_key(idempotency_key),
        parse=UploadReply.model_validate_json,
        is_repeatable=True,
    )
    return _upload(call, wait=wait, on_progress=on_progress, wait_timeout_s=wait_timeout_s)


def upload_many(
    contents: Sequence[Content] | Mapping[str, Content],
    *,
    collection: str = "default",
    metadata: Json | None = None,
    on_duplicate: OnDuplicate | None = None,
    idempotency_key: str | None = None,
) -> Call[UploadManyReply]:
    """Up to 100 files in one request, by their names if it is a mapping. Each is accepted or refused by itself: look at
    the `error` of every item."""
    fields = _fields(collection=collection, metadata=metadata, on_duplicate=on_duplicate)
    return Call(
        method="POST",
        path="/documents",
        form=Form(fields, "files", _files(contents)),
        headers=_key(idempotency_key),
        parse=UploadManyReply.model_validate_json,
        is_repeatable=True,
        replies=ALL_REFUSED,
    )


def upload_text(
    text: str,
    *,
    title: str | None = None,
    source: str | None = None,
    collection: str = "default",
    metadata: Json | None = None,
    on_duplicate: OnDuplicate | None = None,
    idempotency_key: str | None = None,
    wait: bool = False,
    on_progress: OnProgress | None = None,
    wait_timeout_s: float | None = None,
) -> Upload:
    """A text as a document; otherwise as `upload`."""
    body = given(
        text=text,
        title=title,
        source=source,
        collection=collection,
        metadata=metadata,
        on_duplicate=on_duplicate,
    )
    call = Call(
        method="POST",
        path="/documents",
        json=body,
        headers=_key(idempotency_key),
        parse=UploadReply.model_validate_json,
        is_repeatable=True,
    )
    return _upload(call, wait=wait, on_progress=on_progress, wait_timeout_s=wait_timeout_s)


def replace(
    document_id: str,
    content: Content,
    *,
    filename: str | None = None,
    title: str | None = None,
    metadata: Json | None = None,
    idempotency_key: str | None = None,
    wait: bool = False,
    on_progress: OnProgress | None = None,
    wait_timeout_s: float | None = None,
) -> Upload:
    """A file as the new version of a document. The old one answers until all of the new one is searchable."""
    call = Call(
        method="PUT",
        path=f"/documents/{part_of_path(document_id)}",
        form=Form(_fields(title=title, metadata=metadata), "file", [file_of(content, filename)]),
        headers=_key(idempotency_key),
        parse=UploadReply.model_validate_json,
        is_repeatable=True,
    )
    return _upload(call, wait=wait, on_progress=on_progress, wait_timeout_s=wait_timeout_s)


def replace_text(
    document_id: str,
    text: str,
    *,
    title: str | None = None,
    metadata: Json | None = None,
    idempotency_key: str | None = None,
    wait: bool = False,
    on_progress: OnProgress | None = None,
    wait_timeout_s: float | None = None,
) -> Upload:
    """A text as the new version of a document; otherwise as `replace`."""
    call = Call(
        method="PUT",
        path=f"/documents/{part_of_path(document_id)}",
        json=given(text=text, title=title, metadata=metadata),
        headers=_key(idempotency_key),
        parse=UploadReply.model_validate_json,
        is_repeatable=True,
    )
    return _upload(call, wait=wait, on_progress=on_progress, wait_timeout_s=wait_timeout_s)


def _upload(
    call: Call[UploadReply], *, wait: bool, on_progress: OnProgress | None, wait_timeout_s: float | None
) -> Upload:
    follow = Follow(on_progress, wait_timeout_s)
    return Upload(call.watched(follow.on_sent), follow, wait)


def _fields(*, metadata: Json | None = None, **texts: str | None) -> dict[str, str]:
    """The form fields beside a file."""
    return given(**texts, metadata=None if metadata is None else json.dumps(metadata))


def _files(contents: Sequence[Content] | Mapping[str, Content]) -> list[File]:
    if isinstance(contents, Mapping):
        return [file_of(content, name) for name, content in contents.items()]
    return [file_of(content, None) for content in contents]


def _key(given_key: str | None) -> dict[str, Any]:
    """One key for all attempts."""
    return {"Idempotency-Key": given_key or uuid.uuid4().hex}
