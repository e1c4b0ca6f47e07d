"""What travels between the API process and a parse worker: plain data in msgpack, each message behind its length.

Never pickle: a parser that was taken over by a document must not be able to make its owner run anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import msgpack

from ragstone.core.errors import IngestError, ParseFailed
from ragstone.core.models import Chunk, KnownChunk, Location, ParsedDocument

LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Read this file. `parser` and `chunker` are import paths."""

    path: str
    parser: str
    chunker: str
    title: str | None
    known: tuple[KnownChunk, ...] = ()
    chunk_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedChild:
    """A file inside the document. Its content follows the reply, each child's in a frame, in the same order."""

    filename: str
    media_type: str | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The document without its blocks and children, its chunks, and the children that follow."""

    parsed: ParsedDocument
    chunks: tuple[Chunk, ...]
    children: tuple[AnnouncedChild, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadReply:
    """What was read, or why nothing was, and the worker's peak memory so far."""

    outcome: Reading | IngestError
    peak_bytes: int


def frame(message: object) -> bytes:
    """The message as it goes over the pipe."""
    packed: bytes = msgpack.packb(message)
    return frame_head(len(packed)) + packed


def frame_head(length: int) -> bytes:
    """What stands before a message of that many bytes."""
    return length.to_bytes(LENGTH_BYTES)


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next message's bytes; None when the other side is gone."""
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    packed = stream.read(int.from_bytes(length))
    return packed if len(packed) == int.from_bytes(length) else None


def encode_request(request: ReadRequest) -> bytes:
    """A framed request."""
    known = [[chunk.beginning, chunk.length, chunk.digest] for chunk in request.known]
    return frame([request.path, request.parser, request.chunker, request.title, known, request.chunk_tokens])


def decode_request(packed: bytes) -> ReadRequest:
    """The inverse of `encode_request`, without its frame."""
    path, parser, chunker, title, known, chunk_tokens = msgpack.unpackb(packed)
    chunks = tuple(KnownChunk(*chunk) for chunk in known)
    return ReadRequest(path, parser, chunker, title, chunks, chunk_tokens)


def encode_document(parsed: ParsedDocument, chunks: Sequence[Chunk], peak_bytes: int) -> bytes:
    """A framed reply. Chunks go without their text, which is a span of the document's; children are announced."""
    children = [[child.filename, child.media_type, len(child.content)] for child in parsed.children]
    document = [parsed.text, parsed.title, parsed.encoding, parsed.pages, children]
    return frame(["document", document, [_encode_chunk(chunk) for chunk in chunks], peak_bytes])


def encode_failure(error: IngestError, peak_bytes: int) -> bytes:
    """A framed reply."""
    return frame(["failure", [error.code, error.message, error.page], None, peak_bytes])


def decode_reply(packed: bytes) -> ReadReply:
    """The inverse of `encode_document` and `encode_failure`, without the frame."""
    kind, content, chunks, peak_bytes = msgpack.unpackb(packed)
    if kind == "failure":
        code, message, page = content
        failure = _FAILURES.get(code, ParseFailed)
        return ReadReply(failure(message, page=page), peak_bytes)
    text, title, encoding, pages, children = content
    reading = Reading(
        ParsedDocument(text, (), title=title, encoding=encoding, pages=pages),
        tuple(_decode_chunk(i, text, raw) for i, raw in enumerate(chunks)),
        tuple(AnnouncedChild(*child) for child in children),
    )
    return ReadReply(reading, peak_bytes)


def _encode_chunk(chunk: Chunk) -> list[Any]:
    place = chunk.location
    location = [place.page, place.page_end, place.sheet, place.slide]
    sentences = list(chain.from_iterable(chunk.sentences))
    return [chunk.start, chunk.end, chunk.context, chunk.heading, location, sentences]


def _decode_chunk(index: int, text: str, raw: Sequence[Any]) -> Chunk:
    start, end, context, heading, location, bounds = raw
    return Chunk(
        index=index,
        start=start,
        end=end,
        text=text[start:end],
        context=context,
        heading=tuple(heading),
        location=Location(*location),
        sentences=tuple(zip(bounds[::2], bounds[1::2], strict=True)),
    )


def _kinds(kind: type[IngestError]) -> dict[str, type[IngestError]]:
    return {kind.code: kind} | {
        code: sub for one in kind.__subclasses__() for code, sub in _kinds(one).items()
    }


_FAILURES = _kinds(IngestError)
