"""What a server said to one question, or why it said nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class QuestionFailed(Exception):
    """A question without an answer: the API's code, or `server_silent`, or `bad_reply` for what is no reply of it."""

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = whole(code)
        self.message = whole(message)


class Asks(Protocol):
    """The way to a server."""

    async def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The reply of `POST /query` to this body. Raises QuestionFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A retrieved chunk."""

    n: int
    document_id: str
    chunk_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """What a mark of the answer points at."""

    n: int
    document_id: str
    chunk_id: str
    title: str
    quote: str
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """Sources best first; timings are stage → milliseconds."""

    text: str
    model: str
    abstained: bool
    sources: tuple[Source, ...]
    citations: tuple[Citation, ...]
    timings: Mapping[str, float]


def read_reply(body: Mapping[str, Any]) -> Reply:
    """Raises QuestionFailed where it is none."""
    try:
        return Reply(
            text=whole(body["answer"]),
            model=whole(body["model"]),
            abstained=bool(body["abstained"]),
            sources=tuple(map(_source, body["sources"])),
            citations=tuple(map(_citation, body["citations"])),
            timings=_timings(body["metadata"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise QuestionFailed("bad_reply", f"the reply is none of POST /query: {error!r}") from error


def whole(text: str) -> str:
    """Without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _source(found: Mapping[str, Any]) -> Source:
    return Source(
        int(found["n"]), found["document_id"], found["chunk_id"], whole(found["title"]), whole(found["text"])
    )


def _citation(found: Mapping[str, Any]) -> Citation:
    source = found["source"]
    return Citation(
        n=int(found["n"]),
        document_id=source["document_id"],
        chunk_id=source["chunk_id"],
        title=whole(source["title"]),
        quote=whole(source["quote"]),
        is_verified=bool(found["verified"]),
    )


def _timings(metadata: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metadata.items()
        if name.endswith("_ms") and isinstance(value, int | float) and not isinstance(value, bool)
    }
