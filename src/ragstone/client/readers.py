"""Events of a stream as the API's models, and what they add up to. No network here."""

from typing import Generic, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from ragstone.api.schemas.documents import JobEvent
from ragstone.api.schemas.query import (
    AnswerReply,
    CitationModel,
    DoneEvent,
    ErrorEvent,
    MetadataEvent,
    MetaEvent,
    SourcesEvent,
    TokenEvent,
)
from ragstone.client.errors import ApiError, UnexpectedReply, kind_of, status_of

AnswerEvent: TypeAlias = MetaEvent | SourcesEvent | TokenEvent | CitationModel | MetadataEvent | DoneEvent
"""What a streamed answer consists of; an `error` event is raised instead."""

M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", covariant=True)


class Reader(Protocol, Generic[E]):
    """Of one stream."""

    @property
    def is_complete(self) -> bool:
        """Whether its last event was read."""

    def read(self, name: str, content: str) -> E | None:
        """The event; None for one that this version does not know. Raises ApiError, UnexpectedReply."""


class AnswerReader:
    """Adds up the answer from its events."""

    def __init__(self) -> None:
        self.text = ""
        self._meta: MetaEvent | None = None
        self._sources: SourcesEvent | None = None
        self._citations: list[CitationModel] = []
        self._metadata: MetadataEvent | None = None
        self._done: DoneEvent | None = None

    @property
    def is_complete(self) -> bool:
        """Whether `done` was read."""
        return self._done is not None

    @property
    def answer(self) -> AnswerReply:
        """What the same question gets without a stream. Raises RuntimeError before the stream has ended."""
        meta, sources, metadata, done = self._meta, self._sources, self._metadata, self._done
        if meta is None or sources is None or metadata is None or done is None:
            raise RuntimeError("the answer is complete only when all of its events were read")
        return AnswerReply(
            question=meta.question,
            answer=self.text,
            collection=meta.collection,
            model=meta.model,
            citations=self._citations,
            sources=sources.sources,
            usage=metadata.usage,
            metadata=metadata.metadata,
            finish_reason=done.finish_reason,
            grounded=done.grounded,
            unsupported=done.unsupported,
            abstained=done.abstained,
            reason=done.reason,
            degraded=done.degraded,
        )

    def read(self, name: str, content: str) -> AnswerEvent | None:
        """Raises the ApiError of an `error` event."""
        match name:
            case "token":
                token = _parsed(TokenEvent, name, content)
                self.text += token.text
                return token
            case "citation":
                citation = _parsed(CitationModel, name, content)
                self._citations.append(citation)
                return citation
            case "meta":
                self._meta = _parsed(MetaEvent, name, content)
                return self._meta
            case "sources":
                self._sources = _parsed(SourcesEvent, name, content)
                return self._sources
            case "metadata":
                self._metadata = _parsed(MetadataEvent, name, content)
                return self._metadata
            case "done":
                self._done = _parsed(DoneEvent, name, content)
                return self._done
            case "error":
                raise _told(_parsed(ErrorEvent, name, content))
        return None


class JobReader:
    """A job at each change, until it has ended."""

    def __init__(self) -> None:
        self.is_complete = False

    def read(self, name: str, content: str) -> JobEvent | None:
        """`done` is the last one."""
        if name not in ("job", "done"):
            return None
        event = _parsed(JobEvent, name, content)
        self.is_complete = name == "done"
        return event


def _parsed(model: type[M], name: str, content: str) -> M:
    try:
        return model.model_validate_json(content)
    except ValidationError as problem:
        raise UnexpectedReply(f"an event `{name}` came that is not of Ragstone's API") from problem


def _told(event: ErrorEvent) -> ApiError:
    status = status_of(event.code)
    return kind_of(status)(
        event.code, event.message, status=status, retryable=event.retryable, request_id=event.request_id
    )
