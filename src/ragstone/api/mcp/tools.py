"""The tools: each a thin caller of a service, with the native API's models for what goes in and what comes out."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from mcp import types

from ragstone.api.mcp import wording
from ragstone.api.mcp.arguments import AddArguments, DocumentArguments, ListArguments
from ragstone.api.mcp.progress import Progress
from ragstone.api.questions import ask_of, filter_of, search_of, search_reply
from ragstone.api.routes.uploads import upload_fields, upload_reply
from ragstone.api.schemas.base import ReplyModel, RequestModel
from ragstone.api.schemas.documents import DeleteReceipt, DocumentPage, DocumentReply, UploadReply
from ragstone.api.schemas.query import AnswerReply, AskRequest, SearchReply, SearchRequest
from ragstone.bootstrap import Container
from ragstone.core.answers import Answer, apply
from ragstone.core.models import Acceptance, DocumentStatus, Scope
from ragstone.core.timing import Stopwatch

LONGEST_WAIT_S = 30.0  # for a new document; clients give a call up after a minute
FILTERS = (
    'A filter is {"field": F, OP: value} with one OP of eq, ne, in, gt, gte, lt, lte, exists, or {"and": […]}, '
    '{"or": […]}, {"not": …}; F is document_id, source, title, filename, media_type, created_at or metadata.KEY.'
)


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and what every call has."""

    services: Container
    tenant: str
    request_id: str
    stopwatch: Stopwatch
    progress: Progress


@dataclass(frozen=True, slots=True)
class Said:
    """A reply: as the native API has it, and as text."""

    reply: ReplyModel
    text: str


async def search(call: Call, arguments: SearchRequest) -> Said:
    """As `POST /search`."""
    wanted = search_of(arguments, call.tenant)
    found = await call.services.query.search(wanted, stopwatch=call.stopwatch)
    reply = search_reply(arguments, found, call.request_id, call.stopwatch)
    return Said(reply, wording.passages_text(reply))


async def ask(call: Call, arguments: AskRequest) -> Said:
    """As `POST /query`."""
    reply = AnswerReply.model_validate(await _answer(call, arguments))
    return Said(reply, wording.answer_text(reply))


async def _answer(call: Call, arguments: AskRequest) -> Answer:
    """With progress it is a stream that is told of, and has a stream's time."""
    query = call.services.query
    asked = ask_of(arguments, call.tenant, query.defaults)
    given: dict[str, Any] = {
        "provider": arguments.provider,
        "request_id": call.request_id,
        "stopwatch": call.stopwatch,
        "timeout_s": arguments.timeout_s,
    }
    if not call.progress.is_wanted:
        return await query.answer(asked, **given)
    await call.progress.step("searching")
    answer = Answer()
    async with aclosing(query.stream(asked, **given)) as events:
        async for event in events:
            apply(answer, event)
            await call.progress.answer(answer, event)
    if answer.failure is not None:
        raise answer.failure.error
    return answer


async def list_documents(call: Call, arguments: ListArguments) -> Said:
    """As `GET /documents`."""
    page = await call.services.documents.list(
        Scope(call.tenant, arguments.collection),
        status=None if arguments.status is None else DocumentStatus(arguments.status),
        title=arguments.title,
        parent_id=arguments.parent_id,
        where=filter_of(arguments.filter),
        sort=arguments.sort,
        limit=arguments.limit,
        cursor=arguments.cursor,
    )
    reply = DocumentPage.model_validate(page)
    return Said(reply, wording.documents_text(reply))


async def get_document(call: Call, arguments: DocumentArguments) -> Said:
    """As `GET /documents/{document_id}`."""
    document = await call.services.documents.get(call.tenant, arguments.document_id)
    reply = DocumentReply.model_validate(document)
    return Said(reply, wording.document_text(reply))


async def add_document(call: Call, arguments: AddArguments) -> Said:
    """As `POST /documents` with a text; the reply is that of a moment later where it is waited for."""
    fields = upload_fields(arguments, call.tenant, None)
    acceptance = await call.services.documents.upload_text(arguments.text, fields)
    if arguments.wait:
        acceptance = await _settled(call, acceptance)
    reply = upload_reply(acceptance)
    return Said(reply, wording.added_text(reply))


async def _settled(call: Call, acceptance: Acceptance) -> Acceptance:
    """Once its job has ended, or it was waited for long enough: the job goes on in any case."""
    job, services = acceptance.job, call.services
    if job is None:
        return acceptance
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(LONGEST_WAIT_S),
            aclosing(services.jobs.follow(call.tenant, job.id)) as reports,
        ):
            async for report in reports:
                job = report.job
                await call.progress.job(job)
    return Acceptance(await services.documents.get(call.tenant, acceptance.document.id), job)


async def delete_document(call: Call, arguments: DocumentArguments) -> Said:
    """As `DELETE /documents/{document_id}`."""
    receipt = await call.services.documents.delete(call.tenant, arguments.document_id)
    reply = DeleteReceipt.model_validate(receipt)
    return Said(reply, wording.deleted_text(reply))


@dataclass(frozen=True, slots=True)
class ToolKind:
    """One tool. Its name is that of its function; `destroys` and `repeats` speak of those that change something."""

    run: Callable[[Call, Any], Awaitable[Said]]
    title: str
    description: str
    arguments: type[RequestModel]
    reply: type[ReplyModel]
    changes: bool = False
    destroys: bool = False
    repeats: bool = False

    @property
    def name(self) -> str:
        """As clients call it."""
        return self.run.__name__

    def described(self) -> types.Tool:
        """What clients are told of it."""
        return types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.arguments.model_json_schema(),
            output_schema=self.reply.model_json_schema(mode="serialization"),
            annotations=types.ToolAnnotations(
                title=self.title,
                read_only_hint=not self.changes,
                destructive_hint=self.destroys,
                idempotent_hint=self.repeats or not self.changes,
                open_world_hint=False,
            ),
        )


TOOLS = (
    ToolKind(
        search,
        "Search the documents",
        "Find passages in the documents, best first, each with its place and its scores. " + FILTERS,
        SearchRequest,
        SearchReply,
    ),
    ToolKind(
        ask,
        "Ask the documents",
        "Answer a question from the documents. Every claim carries a mark such as [1] that points at the exact quote it "
        "came from, verified by the server; where the documents hold no answer it abstains and says why. "
        + FILTERS,
        AskRequest,
        AnswerReply,
    ),
    ToolKind(
        list_documents,
        "List documents",
        "List the documents of a collection with their state, newest first unless sorted otherwise. "
        + FILTERS,
        ListArguments,
        DocumentPage,
    ),
    ToolKind(
        get_document,
        "Get a document",
        "Tell a document's state, size, version and metadata. Its text is the resource ragstone://documents/ID.",
        DocumentArguments,
        DocumentReply,
    ),
    ToolKind(
        add_document,
        "Add a document",
        "Store a text as a document and make it searchable. A further text with the same source becomes a new version, "
        "which takes the place of the earlier one in searches.",
        AddArguments,
        UploadReply,
        changes=True,
        destroys=True,  # of versions: those that are superseded, and with `replace` for good
    ),
    ToolKind(
        delete_document,
        "Delete a document",
        "Delete a document with all its versions, for good. It is invisible at once.",
        DocumentArguments,
        DeleteReceipt,
        changes=True,
        destroys=True,
        repeats=True,
    ),
)
