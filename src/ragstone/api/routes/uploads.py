"""Bodies that bring bytes: one file, many files, or JSON text, all to the same reply."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from ragstone.api.bodies import (
    MAX_FILES,
    form_fields,
    media_type,
    parse_json,
    problem_of,
    read_form,
    receive_file,
    safe_filename,
)
from ragstone.api.schemas.documents import (
    ContentForm,
    DocumentReply,
    FailureModel,
    JobReply,
    TextContent,
    TextUpload,
    UploadForm,
    UploadItem,
    UploadManyReply,
    UploadReply,
)
from ragstone.bootstrap import Container
from ragstone.core.errors import InvalidRequest, RagstoneError, UnsupportedMediaType
from ragstone.core.models import Acceptance, OnDuplicate, Scope
from ragstone.middleware.errors import retry_header
from ragstone.services.documents import ReceivedFile, UploadFields

M = TypeVar("M", bound=BaseModel)

_FORM: dict[str, Any] = UploadForm.model_json_schema()
_METADATA = {
    "type": "string",
    "contentMediaType": "application/json",
    "description": "A JSON object.",
    "examples": ['{"team": "a"}'],
}
OPENAPI_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "Exactly one `file`, or 1 to 100 `files` (then without title and source).",
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "files": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 100,
                        "items": {"type": "string", "format": "binary"},
                    },
                    **_FORM["properties"],
                    "metadata": _METADATA,
                },
                "oneOf": [{"required": ["file"]}, {"required": ["files"]}],
                "additionalProperties": False,
            }
        },
        "application/json": {"schema": {"$ref": "#/components/schemas/TextUpload"}},
    },
}


CONTENT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "title": _FORM["properties"]["title"],
                    "metadata": _METADATA,
                },
                "additionalProperties": False,
            }
        },
        "application/json": {"schema": {"$ref": "#/components/schemas/TextContent"}},
    },
}
KNOWN_BODIES = "send multipart/form-data with a file, or application/json with a text"


async def upload(request: Request, services: Container, tenant: str, key: str | None) -> Response:
    """Read the body as what its content type says and upload what it holds."""
    content_type = media_type(request)
    if content_type == "multipart/form-data":
        async with form_of(request) as form:
            return await _upload_form(form, services, tenant, key)
    if content_type == "application/json":
        body = validated(TextUpload, await asyncio.to_thread(parse_json, await request.body()))
        acceptance = await services.documents.upload_text(body.text, upload_fields(body, tenant, key))
        return accepted(acceptance)
    raise UnsupportedMediaType(KNOWN_BODIES)


async def replace_content(
    request: Request, services: Container, tenant: str, document_id: str, key: str | None
) -> Response:
    """The same for a new version of one document."""
    content_type = media_type(request)
    if content_type == "multipart/form-data":
        async with form_of(request) as form:
            files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            fields = _content_fields(validated(ContentForm, form_fields(form)), tenant, key)
            if len(files) != 1 or not isinstance(form.get("file"), UploadFile):
                raise InvalidRequest("send exactly one part `file`")
            async with received_file(files[0], services) as received:
                return accepted(await services.changes.replace_file(tenant, document_id, received, fields))
    if content_type == "application/json":
        body = validated(TextContent, await asyncio.to_thread(parse_json, await request.body()))
        fields = _content_fields(body, tenant, key)
        return accepted(await services.changes.replace_text(tenant, document_id, body.text, fields))
    raise UnsupportedMediaType(KNOWN_BODIES)


@asynccontextmanager
async def form_of(request: Request) -> AsyncIterator[FormData]:
    """The multipart form of a request, closed at the end. Raises MalformedBody."""
    form = await read_form(request)
    try:
        yield form
    finally:
        await form.close()


async def _upload_form(form: FormData, services: Container, tenant: str, key: str | None) -> Response:
    single = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    many = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
    strangers = {name for name, part in form.multi_items() if isinstance(part, UploadFile)} - {
        "file",
        "files",
    }
    fields = upload_fields(validated(UploadForm, form_fields(form)), tenant, key)
    if strangers or len(single) > 1 or len(many) > MAX_FILES or bool(single) == bool(many):
        raise InvalidRequest("send exactly one part `file`, or 1 to 100 parts `files`")
    if single:
        return accepted(await _upload_one(single[0], fields, services))
    if fields.title is not None or fields.source is not None:
        raise InvalidRequest("title and source belong to one file; send files one by one to give them")
    return _many([await _upload_item(many, place, fields, services) for place in range(len(many))])


async def _upload_one(part: UploadFile, fields: UploadFields, services: Container) -> Acceptance:
    async with received_file(part, services) as received:
        return await services.documents.upload_file(received, fields)


@asynccontextmanager
async def received_file(part: UploadFile, services: Container) -> AsyncIterator[ReceivedFile]:
    """The file in the spool; what nobody took over is removed."""
    spool = services.documents.new_spool()
    try:
        yield await receive_file(part, spool)
    finally:
        spool.unlink(missing_ok=True)


async def _upload_item(
    parts: Sequence[UploadFile], place: int, fields: UploadFields, services: Container
) -> tuple[UploadItem, Acceptance | RagstoneError]:
    """One file's item, and what alone would have been its reply. Each has a commit, and so a key, of its own."""
    part, key = parts[place], fields.idempotency_key
    filename = safe_filename(part.filename) or ""
    if key is not None:
        fields = replace(fields, idempotency_key=f"{key} {place + 1}/{len(parts)}")
    try:
        acceptance = await _upload_one(part, fields, services)
    except RagstoneError as error:
        return UploadItem(filename=filename, error=FailureModel(**problem_of(error))), error
    reply = upload_reply(acceptance)
    return UploadItem(filename=filename, document=reply.document, job=reply.job), acceptance


def accepted(acceptance: Acceptance) -> Response:
    """202 with the document and its job, or 200 when nothing is to do."""
    return _json(upload_reply(acceptance), _status(acceptance))


def _many(items: Sequence[tuple[UploadItem, Acceptance | RagstoneError]]) -> Response:
    reply = UploadManyReply(items=[item for item, _ in items])
    statuses = [_status(outcome) for _, outcome in items if isinstance(outcome, Acceptance)]
    if statuses:
        return _json(reply, max(statuses))
    first = next(outcome for _, outcome in items if isinstance(outcome, RagstoneError))
    return _json(reply, first.status, headers=retry_header(first))


def upload_reply(acceptance: Acceptance) -> UploadReply:
    """The document and its job."""
    job = None if acceptance.job is None else JobReply.model_validate(acceptance.job)
    return UploadReply(document=DocumentReply.model_validate(acceptance.document), job=job)


def _status(acceptance: Acceptance) -> int:
    return 200 if acceptance.job is None else 202


def _json(reply: BaseModel, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        reply.model_dump_json(), status_code=status, headers=headers, media_type="application/json"
    )


def _content_fields(body: TextContent | ContentForm, tenant: str, key: str | None) -> UploadFields:
    """The collection is the document's own, and nobody asks for it."""
    return UploadFields(Scope(tenant), title=body.title or None, metadata=body.metadata, idempotency_key=key)


def upload_fields(body: TextUpload | UploadForm, tenant: str, key: str | None) -> UploadFields:
    """What is said beside the bytes; `key` is the Idempotency-Key."""
    return UploadFields(
        scope=Scope(tenant, body.collection),
        source=body.source or None,
        title=body.title or None,
        metadata=body.metadata,
        on_duplicate=OnDuplicate(body.on_duplicate),
        idempotency_key=key,
    )


def validated(model: type[M], raw: object) -> M:
    """A body that was read by hand. Raises RequestValidationError."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError(
            [{**problem, "loc": ("body", *problem["loc"])} for problem in problems]
        ) from error
