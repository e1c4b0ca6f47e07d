"""Log records as one JSON object a line (or text), the same for our records and third parties'. What an exception says
may quote a question or a document, so its message stands in the log at DEBUG only; its kind and its place always do.
"""

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Collection, Iterator
from typing import Any

import orjson

from ragstone.core.context import job_id, request_id
from ragstone.core.errors import ExternalServiceError, RagstoneError, StartupError, Unavailable

log = logging.getLogger(__name__)

HIDDEN = "[hidden]"
LEAST_SECRET = 6  # characters; hiding shorter ones would tear words apart
QUIET = ("alembic", "httpx", "httpx2", "openai", "urllib3")  # they tell at INFO what they do for whom
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class JsonFormatter(logging.Formatter):
    """{"time", "level", "event", "logger", "request_id"?, "job_id"?, …fields, "error"?, "trace"?}. `secrets` are hidden
    wherever they stand; `shows_messages`: what exceptions say is shown."""

    def __init__(self, *, shows_messages: bool = False, secrets: Collection[str] = ()):
        super().__init__()
        self._shows_messages = shows_messages
        self._secrets = _spellings(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Fields are what `extra=` added; a value that JSON does not know becomes its string."""
        line = self.write(_fields(record, shows_messages=self._shows_messages))
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line

    def write(self, fields: dict[str, Any]) -> str:
        """One line."""
        try:
            return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:  # an integer over 64 bits, or a lone surrogate inside a list
            return json.dumps(fields, default=str, skipkeys=True)


class TextFormatter(JsonFormatter):
    """The same record for reading along: time, level, event, key=value."""

    def write(self, fields: dict[str, Any]) -> str:
        """One line, plus the trace of an exception."""
        trace = fields.pop("trace", None)
        head = [str(fields.pop(key)) for key in ("time", "level", "event")]
        line = " ".join([*head, *(f"{key}={value}" for key, value in fields.items())])
        line = line.replace("\n", "\\n").replace("\r", "\\r")
        return line if trace is None else f"{line}\n{trace}"


def configure_logging(*, level: str, log_format: str, secrets: Collection[str] = ()) -> None:
    """Send everything to standard error in one shape, libraries' warnings and threads' ends included. `secrets` never
    appear there. Called by whoever starts a process."""
    shape = JsonFormatter if log_format == "json" else TextFormatter
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(shape(shows_messages=level == "DEBUG", secrets=secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    logging.getLogger("ragstone").setLevel(level)  # others' DEBUG lines hold requests, prompts and answers
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # our own access line has the stage timings
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)  # noqa: FBT003 - the library's way
    threading.excepthook = _note_broken_thread


def _note_broken_thread(failure: threading.ExceptHookArgs) -> None:
    name = None if failure.thread is None else failure.thread.name
    log.error("thread broke off", extra={"thread_name": name}, exc_info=failure.exc_value)


def tell(event: str, **fields: object) -> None:
    """A line that stands in the log whatever its level is. After `configure_logging`."""
    record = log.makeRecord(log.name, logging.INFO, "", 0, event, (), None, extra=fields)
    for handler in logging.getLogger().handlers:
        handler.handle(record)


def label_logs(worker: int) -> None:
    """From now on each line says which worker wrote it. After `configure_logging`."""

    def label(record: logging.LogRecord) -> bool:
        record.worker = worker
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(label)


def _fields(record: logging.LogRecord, *, shows_messages: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "time": _utc(record.created),
        "level": record.levelname.lower(),
        "event": _printable(record.getMessage()),
        "logger": record.name,
    }
    known = (("request_id", request_id.get()), ("job_id", job_id.get()))
    fields.update((name, current) for name, current in known if current is not None)
    fields.update(
        (key, _printable(value) if isinstance(value, str) else value)
        for key, value in record.__dict__.items()
        if key not in _STANDARD
    )
    if record.exc_info and record.exc_info[1] is not None:
        fields |= _failure(record.exc_info[1], shows_messages=shows_messages)
    return fields


def _failure(error: BaseException, *, shows_messages: bool) -> dict[str, str]:
    fields = {"error": type(error).__name__}
    if isinstance(error, RagstoneError):
        fields["code"] = error.code
    if isinstance(error, Unavailable | ExternalServiceError | StartupError):
        fields["reason"] = _printable(
            error.message
        )  # about a part of the server or a service, not about content
    trace = traceback.format_exception(error) if shows_messages else _places(error)
    return {**fields, "trace": _printable("".join(trace).rstrip())}


def _places(error: BaseException) -> Iterator[str]:
    """As Python writes a trace, without messages and lines of code; the cause comes first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _places(cause)
        yield "led to:\n"
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _places(one)
        yield "led to:\n"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n'
    yield f"{type(error).__name__}\n"


def _spellings(secrets: Collection[str]) -> tuple[str, ...]:
    """Each as it is and as it is written inside of other values, the longest first: one may begin with another."""
    found: set[str] = set()
    for secret in secrets:
        if len(secret) >= LEAST_SECRET:
            quoted = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
            found |= {secret, *(spelling[1:-1] for spelling in quoted)}
    return tuple(sorted(found, key=len, reverse=True))


def _utc(created: float) -> str:
    whole, fraction = divmod(created, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int(fraction * 1e6):06d}Z"


def _printable(text: str) -> str:
    """Lone surrogates, which orjson refuses, become question marks."""
    return text.encode("utf-8", "replace").decode()
