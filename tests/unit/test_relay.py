"""Log lines of child processes, as their owner logs them."""

import json
import logging
from typing import Any

import pytest

from ragstone.core.relay import MAX_LINE, relay, tell_failure, tell_owner

LOG = logging.getLogger("ragstone.test.owner")
EVENTS = frozenset({"upkeep failed"})


def told(capfd: pytest.CaptureFixture[str]) -> bytes:
    return capfd.readouterr().err.encode()


def test_a_childs_line_is_logged_in_the_owners_shape(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    tell_owner("error", "upkeep failed", reason="disk", free=3)

    assert relay(LOG, told(capfd), EVENTS)

    (record,) = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "upkeep failed")
    assert (vars(record)["reason"], vars(record)["free"]) == ("disk", 3)


def test_an_exception_is_told_by_kind_and_place_without_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        int("a secret of a document")
    except ValueError as error:
        tell_failure("warning", "upkeep failed", error)

    line = told(capfd)
    fields = json.loads(line)
    assert fields["error"] == "ValueError"
    assert fields["place"].startswith("test_relay.py:")
    assert b"secret" not in line


@pytest.mark.parametrize(
    "line",
    [
        b"a document's words",
        b"",
        b"{",
        b"{}",
        b"[1]",
        b'{"level": "error", "event": "made up by a document"}',
        b'{"level": "critical", "event": "upkeep failed"}',
        b'{"level": ["error"], "event": "upkeep failed"}',
        b'{"level": "error", "event": ["upkeep failed"]}',
        b'{"a":' + b"[" * 4_000,
        b'{"level": "error", "event": "upkeep failed", "x": "' + b"x" * MAX_LINE + b'"}',
    ],
)
def test_anything_else_is_no_log_line(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert not relay(LOG, line, EVENTS)
    assert caplog.records == []


def test_fields_are_short_and_never_the_records_own(caplog: pytest.LogCaptureFixture) -> None:
    fields: dict[str, Any] = {"name": "root", "msg": "x", "exc_info": 1, "deep": {"a": 1}, "long": "x" * 999}

    assert relay(LOG, json.dumps({"level": "warning", "event": "upkeep failed", **fields}).encode(), EVENTS)

    (record,) = caplog.records
    assert (record.name, record.message, len(vars(record)["long"])) == (LOG.name, "upkeep failed", 200)
    assert "deep" not in vars(record)


def test_a_line_fits_what_a_pipe_takes_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    tell_owner("error", "upkeep failed", reason="é" * 10_000)

    line = told(capfd)
    assert len(line) <= MAX_LINE
    assert relay(LOG, line, EVENTS)
