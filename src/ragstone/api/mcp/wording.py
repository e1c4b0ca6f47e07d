"""Replies as text, for clients and models that do not read structured content. What stands here stands there too."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ragstone.api.mcp.addresses import address_of
from ragstone.api.schemas.documents import DeleteReceipt, DocumentPage, DocumentReply, UploadReply
from ragstone.api.schemas.query import AnswerReply, CitationModel, LocationModel, SearchReply, SourceModel
from ragstone.pipelines.active_content import neutralise


def answer_text(reply: AnswerReply) -> str:
    """The answer with its marks, what it lacks, and what the marks mean."""
    citations = [neutralise(_citation(citation)) for citation in reply.citations]
    parts = [
        reply.answer,
        "\n".join(_remarks(reply)),
        "\n".join(["Citations:", *citations] if citations else []),
    ]
    return "\n\n".join(part for part in parts if part)


def passages_text(reply: SearchReply) -> str:
    """Passages, best first."""
    parts = [f"Searched without: {', '.join(reply.degraded)}."] if reply.degraded else []
    parts += [neutralise(_passage(source)) for source in reply.results]
    return "\n\n".join(parts) if reply.results else "\n\n".join([*parts, "Nothing was found."])


def documents_text(page: DocumentPage) -> str:
    """One line each."""
    lines = [neutralise(_document(document)) for document in page.items] or ["There are no documents here."]
    if page.next_cursor is not None:
        lines.append(f"More follow; go on with cursor {page.next_cursor}")
    return "\n".join(lines)


def document_text(document: DocumentReply) -> str:
    """Its line, and what else is known of it."""
    lines = [_document(document)]
    if document.error is not None:
        lines.append(f"It failed: {document.error.code}: {document.error.message}")
    if document.pending is not None:
        lines.append(f"Version {document.pending.version} is {document.pending.status}.")
    if document.metadata:
        lines.append(f"Metadata: {json.dumps(document.metadata, ensure_ascii=False)}")
    return neutralise("\n".join(lines))


def added_text(reply: UploadReply) -> str:
    """What became of the new document."""
    if reply.job is None:
        return f"Nothing was to do: the document is already here.\n{document_text(reply.document)}"
    if reply.job.state in ("queued", "running"):
        return f"Accepted; it becomes searchable soon. Job {reply.job.id}.\n{document_text(reply.document)}"
    return document_text(reply.document)


def deleted_text(receipt: DeleteReceipt) -> str:
    """What went."""
    if not receipt.verified_absent:
        return f"Document {receipt.document_id} is deleted and invisible; its purge goes on."
    return (
        f"Document {receipt.document_id} is deleted: {receipt.versions} versions, "
        f"{receipt.points_deleted} chunks, verified absent."
    )


def error_text(error: Mapping[str, Any]) -> str:
    """What was wrong, and where."""
    lines = [f"{error['code']}: {error['message']}"]
    lines += [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error["details"]]
    if error["retryable"]:
        lines.append("The same call may succeed later.")
    return "\n".join(lines)


def _remarks(reply: AnswerReply) -> Iterator[str]:
    if reply.abstained:
        yield f"Abstained: {reply.reason}."
    if reply.degraded:
        yield f"Degraded, answered without: {', '.join(reply.degraded)}."
    if reply.finish_reason not in ("stop", ""):
        yield f"The answer is cut: {reply.finish_reason}."
    if reply.grounded != "full" and not reply.abstained:
        yield f"Grounded: {reply.grounded}."
    for span in reply.unsupported:
        yield f"Without support in the documents: “{reply.answer[span.start : span.end]}”"


def _citation(citation: CitationModel) -> str:
    source = citation.source
    mark = "" if citation.verified else ", not verified"
    place = _place(source.title, source.heading, source.location)
    return f"[{citation.n}] {place}{mark}: “{source.quote}” ({address_of(source.document_id)})"


def _passage(source: SourceModel) -> str:
    place = _place(source.title, source.heading, source.location)
    text = "" if source.text is None else f"\n{source.text}"
    return f"{source.n}. {place} ({address_of(source.document_id)}), score {source.score:.3f}{text}"


def _place(title: str, heading: Sequence[str], location: LocationModel) -> str:
    """Title and headings, and the place in the original where its format has one."""
    named = " › ".join([title, *(part for part in heading if part != title)])
    first, last = location.page, location.page_end
    pages = None if first is None else f"p. {first}" if last in (None, first) else f"pp. {first}–{last}"
    slide = None if location.slide is None else f"slide {location.slide}"
    sheet = None if location.sheet is None else f"sheet {location.sheet}"
    return ", ".join(part for part in (named, pages, slide, sheet) if part is not None)


def _document(document: DocumentReply) -> str:
    facts = f"{document.status}, version {document.version}, {document.characters} characters"
    source = "" if document.source is None else f", source {document.source}"
    return f"{document.title}: {facts}{source} ({address_of(document.id)})"
