"""The worker's code, run in this process: the protocol, and how failures become replies."""

import contextlib
import io
import os
from pathlib import Path

import pytest

from ragstone.core.errors import BlobMissing, IngestError, NoText, ParseFailed, ParseLimit, Poison
from ragstone.core.models import Chunk, Location, ParsedDocument
from ragstone.parsers import PARSERS
from ragstone.parsers.bounds import Limits
from ragstone.parsers.wire import (
    LENGTH_BYTES,
    Reading,
    ReadReply,
    ReadRequest,
    decode_reply,
    decode_request,
    encode_document,
    encode_failure,
    encode_request,
    frame,
    read_frame,
)
from ragstone.parsers.worker import Inbox, answer, peak_bytes, serve

CHUNKER = "ragstone.chunking.structural:build_chunker"
HOSTILE = "ragstone.testing.hostile_parsers"


def ask(
    path: Path, parser: str = PARSERS["text/plain"], *, title: str | None = None, **limits: int
) -> ReadReply:
    request = ReadRequest(str(path), parser, CHUNKER, title)
    return decode_reply(answer(request, Limits(**limits)).reply[LENGTH_BYTES:])  # type: ignore[arg-type]


def failure(reply: ReadReply) -> IngestError:
    assert isinstance(reply.outcome, IngestError)
    return reply.outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "original"
    path.write_bytes("Grüße aus Köln. Das ist ein zweiter Satz.".encode())
    return path


class TestAnswer:
    def test_document_is_parsed_and_chunked(self, path: Path) -> None:
        outcome = ask(path, title="Post").outcome
        assert not isinstance(outcome, IngestError)
        parsed, (chunk,) = outcome.parsed, outcome.chunks
        assert (parsed.text, parsed.encoding) == (path.read_text(), "utf-8")
        assert (chunk.context, chunk.text, len(chunk.sentences)) == ("Post", path.read_text(), 2)

    def test_title_of_the_document_is_used_when_none_is_given(self, path: Path) -> None:
        path.write_text("# Guide\n\n" + "A sentence of some length stands here. " * 80)
        outcome = ask(path, PARSERS["text/markdown"]).outcome
        assert not isinstance(outcome, IngestError)
        assert (outcome.parsed.title, outcome.chunks[-1].context) == ("Guide", "Guide")

    def test_refusal_keeps_its_kind(self, path: Path) -> None:
        path.write_bytes(b" \n")
        assert isinstance(failure(ask(path)), NoText)

    def test_missing_original_is_told(self, tmp_path: Path) -> None:
        assert isinstance(failure(ask(tmp_path / "gone")), BlobMissing)

    def test_defect_of_a_parser_fails_the_document_without_its_words(self, path: Path) -> None:
        error = failure(ask(path, f"{HOSTILE}:DefectiveParser"))
        assert isinstance(error, ParseFailed)
        assert "IndexError" in error.message
        assert "secret" not in error.message

    def test_too_much_text_is_a_limit(self, path: Path) -> None:
        error = failure(ask(path, f"{HOSTILE}:VerboseParser", characters=100))
        assert isinstance(error, ParseLimit)
        assert "100 characters" in error.message

    def test_lack_of_memory_is_a_limit(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_memory(self: Path) -> bytes:
            raise MemoryError

        monkeypatch.setattr(Path, "read_bytes", no_memory)
        assert isinstance(failure(ask(path)), ParseLimit)


class TestWire:
    def test_request_survives(self) -> None:
        request = ReadRequest("/päth", "a:B", "c:d", None)
        assert decode_request(encode_request(request)[LENGTH_BYTES:]) == request

    def test_document_survives_without_its_blocks(self) -> None:
        parsed = ParsedDocument("One 😀. Two.", (), title="T", encoding="utf-8", pages=2)
        chunk = Chunk(0, 7, 11, "Two.", "T > H", ("H",), Location(1, 2, "s", 3), ((7, 9), (9, 11)))
        reply = decode_reply(encode_document(parsed, [chunk], 5)[LENGTH_BYTES:])
        assert reply == ReadReply(Reading(parsed, (chunk,)), 5)

    def test_failure_survives(self) -> None:
        error = failure(decode_reply(encode_failure(Poison("why", page=3), 5)[LENGTH_BYTES:]))
        assert (type(error), error.message, error.page) == (Poison, "why", 3)

    @pytest.mark.parametrize("cut", [0, 2, 5])
    def test_frame_that_breaks_off_is_an_end(self, cut: int) -> None:
        assert read_frame(io.BytesIO(frame(["x"] * 9)[:cut])) is None


class TestServing:
    def test_requests_are_answered_until_the_pipe_closes(self, path: Path) -> None:
        to_worker, requests = os.pipe()
        closed: list[bool] = []
        with os.fdopen(to_worker, "rb") as stream:
            inbox = Inbox(stream, when_closed=lambda: closed.append(True))
            with os.fdopen(requests, "wb") as pipe:
                for title in ("one", "two"):
                    pipe.write(encode_request(ReadRequest(str(path), PARSERS["text/plain"], CHUNKER, title)))
            inbox.start()
            replies = io.BytesIO()
            serve(inbox.frames(), replies, limits=Limits(), timed=contextlib.nullcontext)
            inbox.join()
        replies.seek(0)
        contexts = []
        while (packed := read_frame(replies)) is not None:
            outcome = decode_reply(packed).outcome
            assert not isinstance(outcome, IngestError)
            contexts.append(outcome.chunks[0].context)
        assert (contexts, closed) == (["one", "two"], [True])

    def test_peak_is_in_bytes(self) -> None:
        assert 2**24 < peak_bytes() < 2**36
