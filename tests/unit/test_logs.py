"""Log lines: one JSON object each, whatever they carry."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ragstone.core.context import request_id
from ragstone.core.logs import JsonFormatter, TextFormatter, configure_logging


@pytest.fixture
def _root_logger_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("uvicorn.access").disabled = False
    for name in ("alembic", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def record(message: str = "request", *arguments: object, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("ragstone.test", logging.INFO, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


def line(made: logging.LogRecord) -> dict[str, Any]:
    written = JsonFormatter().format(made)
    assert "\n" not in written
    fields: dict[str, Any] = json.loads(written)
    return fields


class TestJson:
    def test_a_line_has_time_level_event_logger_and_the_extra_fields(self) -> None:
        made = record("ingest finished", chunks=3)
        made.created = 0.25

        assert line(made) == {
            "time": "1970-01-01T00:00:00.250000Z",
            "level": "info",
            "event": "ingest finished",
            "logger": "ragstone.test",
            "chunks": 3,
        }

    def test_a_line_carries_the_request_id_of_the_work_at_hand(self) -> None:
        token = request_id.set("r-7")
        try:
            assert line(record())["request_id"] == "r-7"
        finally:
            request_id.reset(token)

    def test_arguments_are_filled_into_the_message(self) -> None:
        assert line(record("%s of %d", "one", 2))["event"] == "one of 2"

    def test_values_that_json_does_not_know_become_strings(self) -> None:
        fields = line(record(where=io.BytesIO, keys={1: "one"}, when=None))

        assert "BytesIO" in fields["where"]
        assert fields["keys"] == {"1": "one"}

    def test_integers_of_any_size_are_written(self) -> None:
        assert line(record(huge=2**70, where=io.BytesIO))["huge"] == 2**70

    def test_a_lone_surrogate_does_not_break_the_line(self) -> None:
        fields = line(record("odd \ud800", name_of_it="\udfff", inside=["\ud800"]))

        assert fields["event"] == "odd ?"
        assert fields["name_of_it"] == "?"

    def test_an_exception_is_named_and_its_trace_kept_on_the_same_line(self) -> None:
        made = record("broke off")
        with pytest.raises(ValueError, match="fault") as caught:
            int("at\nfault")
        made.exc_info = (caught.type, caught.value, caught.tb)

        fields = line(made)

        assert fields["error"] == "ValueError"
        assert "ValueError: invalid literal" in fields["trace"]


class TestText:
    def test_the_same_fields_are_shown_for_reading_along(self) -> None:
        shown = TextFormatter().format(record("version ready", chunks=3))

        assert shown.endswith("info version ready logger=ragstone.test chunks=3")


@pytest.mark.usefixtures("_root_logger_restored")
class TestConfiguration:
    def test_everything_goes_to_standard_error_in_one_shape(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging(level="INFO", log_format="json")
        logging.getLogger("some.library").warning("low on %s", "memory")
        logging.getLogger("some.library").debug("not shown")

        (written,) = capsys.readouterr().err.splitlines()
        assert json.loads(written)["event"] == "low on memory"

    def test_the_servers_own_access_line_is_off_since_ours_has_more(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging(level="DEBUG", log_format="text")
        logging.getLogger("uvicorn.access").info("GET /")

        assert capsys.readouterr().err == ""
