"""What a client is told when the model's server fails: one row for each failure, as values that a test and the
documentation share. Nothing here is derived from the code that it describes."""

from dataclasses import dataclass
from typing import Literal

from ragstone.testing.upstream import Fault

ATTEMPTS = 3  # OPENAI_MAX_RETRIES by default
Moment = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client is told. A `code` beside status 200 is that of a stream's `error` event. `reason` is that of an
    abstention."""

    status: int
    code: str | None = None
    is_retryable: bool = False
    finish_reason: str | None = None
    degraded: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A failure, `before` or `after` the answer's first token, and what comes of it. `fault` None: nobody listens.

    `strict` is the outcome of both forms where `strict: true` makes a difference. `timeout_s` is the request's limit and
    `attempt_s` that of one attempt, where the defaults would take too long for a test.
    """

    failure: str
    fault: Fault | None
    moment: Moment
    json: Outcome
    stream: Outcome
    requests: int = 1
    strict: Outcome | None = None
    timeout_s: float | None = None
    attempt_s: float | None = None

    def stated(self, *, is_streamed: bool, is_strict: bool) -> Outcome:
        """The outcome of one form of the request."""
        if is_strict and self.strict is not None:
            return self.strict
        return self.stream if is_streamed else self.json


ANSWERED = Outcome(200, finish_reason="stop")
EXTRACTIVE = Outcome(200, finish_reason="stop", degraded=("llm",))
REFUSED = Outcome(502, "upstream_refused")
GARBLED = Outcome(502, "upstream_garbled", is_retryable=True)
FILTERED = Outcome(502, "content_filtered")
UNAVAILABLE = Outcome(503, "upstream_unavailable", is_retryable=True)
RATE_LIMITED = Outcome(503, "upstream_rate_limited", is_retryable=True)
TIMED_OUT = Outcome(504, "upstream_timeout", is_retryable=True)
TOO_LATE = Outcome(504, "deadline_exceeded", is_retryable=True)


def _status(code: int, meaning: str) -> Fault:
    return Fault("status", code=code, text=meaning, times=0)


def _at_once(failure: str, fault: Fault, outcome: Outcome, *, timeout_s: float | None = None) -> Row:
    """The failure is told as it is, in both forms alike, after one attempt."""
    return Row(failure, fault, "before", outcome, outcome, timeout_s=timeout_s)


def _outage(failure: str, fault: Fault | None, strict: Outcome, *, requests: int = ATTEMPTS) -> Row:
    """The model is down: tried again, then done without."""
    return Row(failure, fault, "before", EXTRACTIVE, EXTRACTIVE, requests, strict)


def _broken_off(failure: str, fault: Fault, code: str = "upstream_interrupted", status: int = 502) -> Row:
    """The answer had begun: a stream ends with an `error` event, a JSON reply is that error."""
    told = Outcome(status, code, is_retryable=True)
    return Row(failure, fault, "after", told, Outcome(200, code, is_retryable=True))


def _ends(failure: str, fault: Fault, moment: Moment, finish_reason: str) -> Row:
    """An answer all the same, with its reason to end."""
    told = Outcome(200, finish_reason=finish_reason)
    return Row(failure, fault, moment, told, told)


def _says_nothing(failure: str, fault: Fault, finish_reason: str) -> Row:
    """A complete answer without a word in it is an abstention."""
    told = Outcome(200, finish_reason=finish_reason, reason="insufficient_context")
    return Row(failure, fault, "before", told, told)


STATUSES = (
    _at_once("answers 400", _status(400, "bad request"), REFUSED),
    _at_once("answers 401", _status(401, "unauthorized"), REFUSED),
    _at_once("answers 403", _status(403, "forbidden"), REFUSED),
    _at_once("answers 404", _status(404, "not found"), REFUSED),
    _at_once("answers 422", _status(422, "unprocessable"), REFUSED),
    _outage("answers 408", _status(408, "request timeout"), UNAVAILABLE),
    _outage("answers 409", _status(409, "conflict"), UNAVAILABLE),
    _outage("answers 429", _status(429, "too many requests"), RATE_LIMITED),
    _outage("answers 500", _status(500, "internal server error"), UNAVAILABLE),
    _outage("answers 503", _status(503, "service unavailable"), UNAVAILABLE),
)

BEFORE = (
    _outage("does not listen", None, UNAVAILABLE, requests=0),
    _outage("closes the connection", Fault("drop_mid", after=0, times=0), UNAVAILABLE),
    _outage("resets the connection", Fault("reset_mid", after=0, times=0), UNAVAILABLE),
    _outage("reports an error inside of its stream", Fault("error_event", times=0), UNAVAILABLE),
    Row(
        "says nothing within `LLM_TIMEOUT_SECONDS`, at each attempt",
        Fault("hang_headers", times=0),
        "before",
        EXTRACTIVE,
        EXTRACTIVE,
        ATTEMPTS,
        TIMED_OUT,
        attempt_s=0.1,
    ),
    _at_once("says nothing within the request's time", Fault("hang_headers"), TOO_LATE, timeout_s=0.25),
    _at_once(
        "sends headers, then nothing within the request's time",
        Fault("hang_mid", after=0),
        TOO_LATE,
        timeout_s=0.25,
    ),
    _at_once("ends its stream without a word or a reason", Fault("cut_mid", after=0), GARBLED),
    _at_once("sends a chunk that is not JSON", Fault("malformed"), GARBLED),
    _at_once("sends bytes that are not UTF-8", Fault("malformed", text="utf8"), GARBLED),
    _at_once("answers with a web page", Fault("html200"), GARBLED),
    _at_once("answers with JSON instead of a stream", Fault("json200"), GARBLED),
    _at_once("sends chunks without choices", Fault("empty_choices"), GARBLED),
    _at_once("sends a line of 64 MB", Fault("huge"), GARBLED),
    _at_once("withholds the whole answer (`content_filter`)", Fault("content_filter", after=0), FILTERED),
    _at_once("spends its tokens without a word (`length`)", Fault("length", after=0), GARBLED),
    _says_nothing("ends in order without a word", Fault("no_done", after=0), "stop"),
    _ends("sends a token of 1 MB", Fault("huge_token", after=0), "before", "length"),
)

AFTER = (
    _broken_off(
        "says nothing for `RAGSTONE_STREAM_IDLE_SECONDS`", Fault("hang_mid"), "upstream_timeout", 504
    ),
    _broken_off("closes the connection", Fault("drop_mid")),
    _broken_off("resets the connection", Fault("reset_mid")),
    _broken_off("ends its stream without a reason", Fault("cut_mid")),
    _broken_off("sends a chunk that is not JSON", Fault("malformed", after=3)),
    _broken_off("sends bytes that are not UTF-8", Fault("malformed", after=3, text="utf8")),
    _broken_off("reports an error inside of its stream", Fault("error_event", after=3)),
    _broken_off("sends chunks without choices", Fault("empty_choices", after=3)),
    _broken_off("sends a line of 64 MB", Fault("huge", after=3)),
    _ends("sends a token of 1 MB", Fault("huge_token", after=3), "after", "length"),
    _ends("never stops", Fault("repeat"), "after", "length"),
    _ends("reaches its limit (`length`)", Fault("length", after=6), "after", "length"),
    _ends(
        "withholds the rest (`content_filter`)", Fault("content_filter", after=6), "after", "content_filter"
    ),
    _ends("leaves out `[DONE]`", Fault("no_done"), "after", "stop"),
    Row(
        "is still writing when the request's time is up",
        Fault("slow", text="25"),
        "after",
        TOO_LATE,
        ANSWERED,
        timeout_s=0.3,
    ),
    Row(
        "is still writing after `RAGSTONE_STREAM_TOTAL_SECONDS`",
        Fault("slow", text="7"),
        "after",
        TOO_LATE,
        Outcome(200, "deadline_exceeded", is_retryable=True),
        timeout_s=0.3,
    ),
)

ROWS = (*STATUSES, *BEFORE, *AFTER)
