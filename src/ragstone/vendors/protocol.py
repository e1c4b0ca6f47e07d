"""The parts of OpenAI's protocol that need no SDK: its JSON, its text, and what the chunks of an answer tell."""

import json
from collections.abc import Iterable
from typing import Any

import orjson

from ragstone.core.errors import ContentFiltered
from ragstone.core.models import Ending, Message, Usage

DONE = b"[DONE]"


class ProtocolViolation(Exception):
    """An answer with a good status that is not what the protocol says."""


class ReportedFailure(Exception):
    """A stream that was well begun tells that it failed; `status` if it names one."""

    def __init__(self, status: int | None):
        super().__init__(status)
        self.status = status


class Reply:
    """What the chunks of one answer have told so far."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.has_begun = False
        self._usage = Usage()
        self._held = ""

    def read(self, chunk: dict[str, Any]) -> str:
        """The text of one chunk, often none; after the finish reason only tokens are counted. Raises ProtocolViolation, ReportedFailure."""
        if error := chunk.get("error"):
            raise ReportedFailure(_status_in(error))
        self.note_usage(chunk)
        if self.finish_reason is not None:
            return ""
        choice = _first_choice(chunk)
        self.finish_reason = _finish_reason_in(choice)
        return self._joined(_text_in(choice))

    def rest(self) -> str:
        """A half of a surrogate pair whose other half never came."""
        rest = without_surrogates(self._held)
        self._held = ""
        self.has_begun = self.has_begun or bool(rest)
        return rest

    def require_end(self) -> None:
        """Only a finish reason proves that an answer is complete. Raises ProtocolViolation."""
        if self.finish_reason is None:
            raise ProtocolViolation("an end without a finish reason")

    def note_usage(self, chunk: dict[str, Any]) -> None:
        """Keep the token counts, if the chunk has any."""
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._usage = Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))

    def ending(self) -> Ending:
        """The proof that the answer is complete. Raises ContentFiltered if nothing of it was let through."""
        if self.finish_reason == "content_filter" and not self.has_begun:
            raise ContentFiltered("the language model's content filter withheld the answer; ask differently")
        return Ending(self.finish_reason or "stop", self._usage)

    def _joined(self, text: str) -> str:
        """Servers that cut between UTF-16 units send the halves of one character in two deltas."""
        text, self._held = self._held + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        self.has_begun = self.has_begun or bool(text)
        return without_surrogates(text)


def parse_json(body: bytes) -> object:
    """Any JSON. What the standard library allows beyond the standard is let through (NaN, a surrogate alone), so that
    the caller can say what is wrong with it. Raises ProtocolViolation."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_leniently(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object, read as `parse_json` does. Raises ProtocolViolation."""
    found = parse_json(body)
    if not isinstance(found, dict):
        raise ProtocolViolation("not a JSON object")
    return found


def without_surrogates(text: str) -> str:
    """Pairs of surrogates joined, each one alone replaced by U+FFFD: text that can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def as_sent(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Messages as the protocol has them."""
    return [{"role": each.role, "content": without_surrogates(each.content)} for each in messages]


def _first_choice(chunk: dict[str, Any]) -> dict[str, Any]:
    """Empty where the chunk has none: Azure's first chunk, usage, pings."""
    choices = chunk.get("choices") or [{}]
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise ProtocolViolation("choices of another shape")
    return choices[0]


def _text_in(choice: dict[str, Any]) -> str:
    """A refusal is an answer in words, too. Reasoning is not part of it."""
    delta = choice.get("delta") or {}
    if not isinstance(delta, dict) or delta.get("tool_calls"):
        raise ProtocolViolation("a tool call that nobody offered")
    parts = [delta.get("content") or "", delta.get("refusal") or ""]
    if not all(isinstance(part, str) for part in parts):
        raise ProtocolViolation("content of another shape")
    return "".join(parts)


def _finish_reason_in(choice: dict[str, Any]) -> str | None:
    """Short identifiers as they are; anything else counts as an end too, but is not repeated."""
    reason = choice.get("finish_reason")
    if not reason:
        return None
    if reason in ("tool_calls", "function_call"):
        raise ProtocolViolation("a tool call that nobody offered")
    is_name = isinstance(reason, str) and reason.isascii() and reason.isidentifier() and len(reason) <= 40
    return reason if is_name else "other"


def _status_in(error: object) -> int | None:
    """Gateways put the status of the server behind them into `code`."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code <= 599 else None


def _count(number: object) -> int:
    return number if type(number) is int and 0 <= number < 2**53 else 0  # more is no JSON number everywhere


def _parse_leniently(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolViolation("not JSON") from None
