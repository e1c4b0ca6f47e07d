"""A response as it is written: the published events in their published order, numbered from 0."""

import time
from collections.abc import Mapping
from typing import Any

import orjson

from ragstone.api.openai.citations import file_citation
from ragstone.api.openai.response_models import (
    ResponseModel,
    annotations_of,
    message_of,
    outcome_of,
    result_of,
    search_call,
    text_part,
)
from ragstone.api.sse import one_line
from ragstone.core.answers import Answer, apply
from ragstone.core.models import AnswerEvent, Cited, DocumentName, Done, Failed, Sources, Token


class ResponseWriter:
    """Folds the events of an answer into a response. As `Encode` it gives the frames of each event; `response` is what
    they spell at any time. `files` are filled in once the sources are known, before they are encoded."""

    def __init__(
        self,
        begun: ResponseModel,
        *,
        searches: bool,
        shows_results: bool,
        files: Mapping[str, DocumentName],
        item_ids: tuple[str, str],
    ):
        self.response = begun
        self._answer = Answer()
        self._searches = searches
        self._shows_results = shows_results
        self._files = files
        self._search_id, self._message_id = item_ids
        self._place = int(searches)
        self._number = 0
        self._annotations = 0

    def __call__(self, event: AnswerEvent) -> bytes:
        """Frames; none for what comes with the last event."""
        apply(self._answer, event)
        match event:
            case Sources():
                return b"".join((*self._opened(), *self._searched(), *self._message_begun()))
            case Token():
                return self._text("delta", delta=event.text, logprobs=[])
            case Cited():
                return self._annotated(file_citation(event.citation, self._files))
            case Done():
                return self._ended()
            case Failed():
                return self._failed(event)
        return b""

    def completed(self, answer: Answer) -> ResponseModel:
        """The whole response to a complete answer."""
        part = text_part(answer.answer, annotations_of(answer, self._files))
        outcome = outcome_of(answer)
        message = message_of(self._message_id, outcome["status"], [part])
        output = [self._call("completed", answer), message] if self._searches else [message]
        return self.response.model_copy(
            update={**outcome, "output": output, "completed_at": int(time.time())}
        )

    def _call(self, status: str, answer: Answer) -> dict[str, Any]:
        results = [result_of(source, self._files) for source in answer.sources]
        is_shown = self._shows_results and status == "completed"
        queries = [answer.question] if status == "completed" else []
        return search_call(self._search_id, status, queries, results if is_shown else None)

    def _opened(self) -> list[bytes]:
        content = self.response.model_dump(mode="json")
        return [self._event(f"response.{name}", response=content) for name in ("created", "in_progress")]

    def _searched(self) -> list[bytes]:
        if not self._searches:
            return []
        place = {"output_index": 0}
        item = {**place, "item_id": self._search_id}
        return [
            self._event("response.output_item.added", **place, item=self._call("in_progress", self._answer)),
            *(
                self._event(f"response.file_search_call.{name}", **item)
                for name in ("in_progress", "searching", "completed")
            ),
            self._event("response.output_item.done", **place, item=self._call("completed", self._answer)),
        ]

    def _message_begun(self) -> list[bytes]:
        message = message_of(self._message_id, "in_progress", [])
        return [
            self._event("response.output_item.added", output_index=self._place, item=message),
            self._event("response.content_part.added", **self._content, part=text_part("", [])),
        ]

    @property
    def _content(self) -> dict[str, Any]:
        return {"item_id": self._message_id, "output_index": self._place, "content_index": 0}

    def _text(self, name: str, **said: Any) -> bytes:
        return self._event(f"response.output_text.{name}", **self._content, **said)

    def _annotated(self, annotation: dict[str, Any]) -> bytes:
        index, self._annotations = self._annotations, self._annotations + 1
        return self._text("annotation.added", annotation_index=index, annotation=annotation)

    def _ended(self) -> bytes:
        self.response = self.completed(self._answer)
        message = self.response.output[-1]
        (part,) = message["content"]
        return b"".join(
            (
                self._text("done", text=part["text"], logprobs=[]),
                self._event("response.content_part.done", **self._content, part=part),
                self._event("response.output_item.done", output_index=self._place, item=message),
                self._event(
                    f"response.{self.response.status}", response=self.response.model_dump(mode="json")
                ),
            )
        )

    def _failed(self, event: Failed) -> bytes:
        """What was said stays in the output."""
        error = {"code": "server_error", "message": f"{event.error.code}: {event.error.message}"}
        whole = self.completed(self._answer)
        whole.output[-1]["status"] = "incomplete"
        self.response = whole.model_copy(
            update={"status": "failed", "error": error, "completed_at": None, "store": False}
        )
        return self._event("response.failed", response=self.response.model_dump(mode="json"))

    def _event(self, name: str, **content: Any) -> bytes:
        packed = orjson.dumps({"type": name, "sequence_number": self._number, **content})
        self._number += 1
        return b"event: %s\r\ndata: %s\r\n\r\n" % (name.encode(), one_line(packed))
