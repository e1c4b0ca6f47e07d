"""Reading request bodies: JSON that cannot be parsed is 400 and never 5xx; uploads go to the spool, not to memory."""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, UploadFile

from ragstone.core.errors import (
    InvalidRequest,
    MalformedBody,
    RagstoneError,
    Unavailable,
    UnsupportedMediaType,
)
from ragstone.services.documents import ReceivedFile

JSON_TYPES = frozenset({"application/json", "application/merge-patch+json"})
MAX_FILES = 100
MAX_FIELDS = 16
MAX_FIELD_BYTES = 1024 * 1024
HEAD_BYTES = 8192  # what the type of a file is told from
COPY_BYTES = 1024 * 1024
MAX_FILENAME = 255
UNNAMED = "unnamed"


def parse_json(raw: bytes) -> Any:
    """UTF-8 JSON without a byte order mark. NaN and Infinity pass: the models refuse them by name. Raises
    MalformedBody."""
    try:
        return json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body is not UTF-8 JSON, or nests too deep") from error


class JsonRequest(Request):
    """A request whose JSON body is read by `parse_json`."""

    async def json(self) -> Any:
        """The parsed body, kept for a second call."""
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class JsonRoute(APIRoute):
    """Routes with a JSON body, or none."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand a JsonRequest to FastAPI's own handler."""
        handler = super().get_route_handler()
        has_body = self.body_field is not None

        async def handle(request: Request) -> Response:
            if has_body and media_type(request) not in JSON_TYPES:
                raise UnsupportedMediaType("send application/json")
            return await handler(JsonRequest(request.scope, request.receive))

        return handle


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_form(request: Request) -> FormData:
    """The multipart form within its bounds. Raises MalformedBody."""
    try:
        most = MAX_FILES + 1  # so that `file` beside a hundred `files` is told what is wrong
        return await request.form(max_files=most, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    except (ValueError, LookupError, KeyError) as error:
        raise MalformedBody("the body is not the multipart form that its content type says") from error
    except OSError as error:
        raise _cannot_store(error) from error


def form_fields(form: FormData) -> dict[str, Any]:
    """The text fields; of repeated ones the last wins. `metadata` is parsed as JSON. Raises InvalidRequest."""
    fields: dict[str, Any] = {
        key: value
        for key, value in form.multi_items()
        if isinstance(value, str) and key not in ("file", "files")
    }
    if "metadata" in fields:
        try:
            fields["metadata"] = parse_json(fields["metadata"].encode("utf-8", "replace"))
        except MalformedBody as error:
            raise InvalidRequest("the form field metadata is not JSON") from error
    return fields


async def receive_file(upload: UploadFile, spool: Path) -> ReceivedFile:
    """Copy an uploaded file into the spool, durably, hashing it on the way."""
    try:
        sha256, size, head = await asyncio.to_thread(_copy, upload.file, spool)
    except OSError as error:
        raise _cannot_store(error) from error
    filename = safe_filename(upload.filename)
    return ReceivedFile(
        path=spool,
        sha256=sha256,
        size_bytes=size,
        head=head,
        filename=filename,
        declared_type=upload.content_type,
        source=None if filename == UNNAMED else filename,
    )


def safe_filename(given: str | None) -> str | None:
    """The last component of a name, without control characters and trailing dots, at most 255 characters."""
    if given is None:
        return None
    decoded = unquote(given)
    name = decoded if "/" in decoded or "\\" in decoded else given
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(character for character in name if character.isprintable()).rstrip(". ").strip()
    stem, dot, ending = name.rpartition(".")
    if len(name) > MAX_FILENAME:
        name = (
            f"{stem[: MAX_FILENAME - len(ending) - 1]}{dot}{ending}"
            if dot and len(ending) < 16
            else name[:MAX_FILENAME]
        )
    return name or UNNAMED


def problem_of(error: RagstoneError) -> dict[str, str]:
    """An error as an item of a batch reply."""
    return {"code": error.code, "message": error.message}


def _cannot_store(error: OSError) -> Unavailable:
    return Unavailable(f"the upload cannot be stored: {error.strerror}")


def _copy(source: BinaryIO, target: Path) -> tuple[str, int, bytes]:
    digest, size, head = hashlib.sha256(), 0, b""
    source.seek(0)
    with target.open("wb") as spool:
        while block := source.read(COPY_BYTES):
            head = head or block[:HEAD_BYTES]
            digest.update(block)
            size += len(block)
            spool.write(block)
        spool.flush()
        os.fsync(spool.fileno())
    return digest.hexdigest(), size, head
