"""Log lines of child processes: written as one JSON object each to standard error, and logged by the owner, which knows
the level, the format and what the work is done for. A child's other output is not a log line: it may quote documents.
"""

import json
import logging
import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_LINE = 4_096  # bytes: a pipe takes that many at once
_MAX_TEXT = 200
_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}
_FORBIDDEN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


def tell_owner(level: str, event: str, **fields: str | float) -> None:
    """Write a line for `relay`. `level` is warning or error."""
    short = {name: _shortened(value) for name, value in fields.items()}
    os.write(2, json.dumps({"level": level, "event": event, **short}).encode() + b"\n")


def tell_failure(level: str, event: str, error: BaseException) -> None:
    """The same of an exception: its kind and where it was raised, not what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    tell_owner(level, event, error=type(error).__name__, place=place)


def relay(log: logging.Logger, line: bytes, events: frozenset[str]) -> bool:
    """Log a child's line, if it is one: of a known event, with fields that are short. Whoever took over the child can
    say no more than that."""
    told = _parse(line)
    level, event = _LEVELS.get(str(told.get("level"))), str(told.get("event"))
    if level is None or event not in events:
        return False
    fields = {
        name: _shortened(value)
        for name, value in told.items()
        if name not in {"level", "event", *_FORBIDDEN} and isinstance(value, str | int | float)
    }
    log.log(level, event, extra=fields)
    return True


def _shortened(value: str | float) -> str | float:
    return value[:_MAX_TEXT] if isinstance(value, str) else value


def _parse(line: bytes) -> Mapping[str, Any]:
    if not line.startswith(b"{") or len(line) > MAX_LINE:
        return {}
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):  # not JSON, or nested to exhaust us
        return {}
    return told if isinstance(told, dict) else {}
