"""Log records as one JSON object a line (or text), the same for our records and third parties'."""

import json
import logging
import sys
import time
from typing import Any

import orjson

from ragstone.core.context import request_id

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class JsonFormatter(logging.Formatter):
    """{"time", "level", "event", "logger", "request_id"?, …fields, "error"?}."""

    def format(self, record: logging.LogRecord) -> str:
        """Fields are what `extra=` added; a value that JSON does not know becomes its string."""
        fields = _fields(record)
        try:
            return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:  # an integer over 64 bits, or a lone surrogate inside a list
            return json.dumps(fields, default=str, skipkeys=True)


class TextFormatter(logging.Formatter):
    """The same record for reading along: time, level, event, key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, plus the trace of an exception."""
        fields = _fields(record)
        head = [str(fields.pop(key)) for key in ("time", "level", "event")]
        return " ".join([*head, *(f"{key}={value}" for key, value in fields.items())])


def configure_logging(*, level: str, log_format: str) -> None:
    """Send everything to standard error in one shape. Called by whoever starts a process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    logging.getLogger("ragstone").setLevel(level)  # others' DEBUG lines hold requests, prompts and answers
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # our own access line has the stage timings
    for name in ("alembic", "httpx", "httpx2", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "time": _utc(record.created),
        "level": record.levelname.lower(),
        "event": _printable(record.getMessage()),
        "logger": record.name,
    }
    if (current := request_id.get()) is not None:
        fields["request_id"] = current
    fields.update(
        (key, _printable(value) if isinstance(value, str) else value)
        for key, value in record.__dict__.items()
        if key not in _STANDARD
    )
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = type(record.exc_info[1]).__name__
        fields["trace"] = _printable(logging.Formatter().formatException(record.exc_info))
    return fields


def _utc(created: float) -> str:
    whole, fraction = divmod(created, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int(fraction * 1e6):06d}Z"


def _printable(text: str) -> str:
    """Lone surrogates, which orjson refuses, become question marks."""
    return text.encode("utf-8", "replace").decode()
