"""The body of `POST /documents`: one file, many files, or JSON text, all to the same reply."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from ragstone.api.bodies import (
    form_fields,
    media_type,
    parse_json,
    problem_of,
    read_form,
    receive_file,
    safe_filename,
)
from ragstone.api.schemas.documents import (
    DocumentReply,
    FailureModel,
    JobReply,
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
from ragstone.services.documents import UploadFields

M = TypeVar("M", bound=BaseModel)

_FORM: dict[str, Any] = UploadForm.model_json_schema()
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
                        "maxItems": 100,
                        "items": {"type": "string", "format": "binary"},
                    },
                    **_FORM["properties"],
                    "metadata": {
                        "type": "string",
                        "description": "A JSON object.",
                        "examples": ['{"team": "a"}'],
                    },
                },
            }
        },
        "application/json": {"schema": {"$ref": "#/components/schemas/TextUpload"}},
    },
}


async def upload(request: Request, services: Container, tenant: str) -> Response:
    """Read the body as what its content type says and upload what it holds."""
    content_type = media_type(request)
    if content_type == "multipart/form-data":
        form = await read_form(request)
        try:
            return await _upload_form(form, services, tenant)
        finally:
            await form.close()
    if content_type == "application/json":
        body = _validated(TextUpload, await asyncio.to_thread(parse_json, await request.body()))
        acceptance = await services.documents.upload_text(body.text, _fields(body, tenant))
        return _one(acceptance)
    raise UnsupportedMediaType("send multipart/form-data with a file, or application/json with a text")


async def _upload_form(form: FormData, services: Container, tenant: str) -> Response:
    single = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    many = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
    strangers = {key for key, part in form.multi_items() if isinstance(part, UploadFile)} - {"file", "files"}
    fields = _fields(_validated(UploadForm, form_fields(form)), tenant)
    if strangers or len(single) > 1 or bool(single) == bool(many):
        raise InvalidRequest("send exactly one part `file`, or 1 to 100 parts `files`")
    if single:
        return _one(await _upload_one(single[0], fields, services))
    if fields.title is not None or fields.source is not None:
        raise InvalidRequest("title and source belong to one file; send files one by one to give them")
    return _many([await _upload_item(part, fields, services) for part in many])


async def _upload_one(part: UploadFile, fields: UploadFields, services: Container) -> Acceptance:
    spool = services.documents.new_spool()
    try:
        received = await receive_file(part, spool)
        return await services.documents.upload_file(received, fields)
    finally:
        spool.unlink(missing_ok=True)


async def _upload_item(
    part: UploadFile, fields: UploadFields, services: Container
) -> tuple[UploadItem, Acceptance | RagstoneError]:
    """One file's item, and what alone would have been its reply."""
    filename = safe_filename(part.filename) or ""
    try:
        acceptance = await _upload_one(part, fields, services)
    except RagstoneError as error:
        return UploadItem(filename=filename, error=FailureModel(**problem_of(error))), error
    reply = _reply(acceptance)
    return UploadItem(filename=filename, document=reply.document, job=reply.job), acceptance


def _one(acceptance: Acceptance) -> Response:
    return _json(_reply(acceptance), _status(acceptance))


def _many(items: Sequence[tuple[UploadItem, Acceptance | RagstoneError]]) -> Response:
    reply = UploadManyReply(items=[item for item, _ in items])
    statuses = [_status(outcome) for _, outcome in items if isinstance(outcome, Acceptance)]
    if statuses:
        return _json(reply, max(statuses))
    first = next(outcome for _, outcome in items if isinstance(outcome, RagstoneError))
    return _json(reply, first.status, headers=retry_header(first))


def _reply(acceptance: Acceptance) -> UploadReply:
    job = None if acceptance.job is None else JobReply.model_validate(acceptance.job)
    return UploadReply(document=DocumentReply.model_validate(acceptance.document), job=job)


def _status(acceptance: Acceptance) -> int:
    return 200 if acceptance.job is None else 202


def _json(reply: BaseModel, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        reply.model_dump_json(), status_code=status, headers=headers, media_type="application/json"
    )


def _fields(body: TextUpload | UploadForm, tenant: str) -> UploadFields:
    return UploadFields(
        scope=Scope(tenant, body.collection),
        source=body.source or None,
        title=body.title or None,
        metadata=body.metadata,
        on_duplicate=OnDuplicate(body.on_duplicate),
    )


def _validated(model: type[M], raw: object) -> M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError(
            [{**problem, "loc": ("body", *problem["loc"])} for problem in problems]
        ) from error
