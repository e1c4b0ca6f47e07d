"""Log lines: one JSON object each, whatever they carry."""

import asyncio
import contextvars
import io
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ragstone.core.context import begin_job, request_id
from ragstone.core.errors import EngineUnavailable
from ragstone.core.logs import QUIET, JsonFormatter, TextFormatter, configure_logging
from ragstone.core.threads import in_executor, in_low_thread, in_thread


@pytest.fixture
def _root_logger_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    threading.excepthook = threading.__excepthook__
    logging.getLogger("uvicorn.access").disabled = False
    for name in ("ragstone", *QUIET):
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
        assert "in test_an_exception_is_named" in fields["trace"]
        assert fields["trace"].endswith("ValueError")

    def test_what_an_exception_says_is_shown_on_demand_only(self) -> None:
        made = record("broke off")
        made.exc_info = raised(ValueError("a question"), ValueError("a document"))

        hidden, shown = line(made), JsonFormatter(shows_messages=True).format(made)

        assert "a question" not in json.dumps(hidden)
        assert hidden["trace"].count("ValueError") == 2
        assert "a question" in shown
        assert "a document" in shown

    def test_every_member_of_a_group_is_named(self) -> None:
        made = record("broke off")
        made.exc_info = raised(ExceptionGroup("some", [KeyError("a"), OSError("b")]))

        assert {"KeyError", "OSError", "ExceptionGroup"} <= set(line(made)["trace"].split())

    def test_what_a_part_of_the_server_says_of_itself_is_shown(self) -> None:
        made = record("broke off")
        made.exc_info = raised(EngineUnavailable("the engine is down"))

        fields = line(made)

        assert (fields["code"], fields["reason"]) == ("engine_unavailable", "the engine is down")

    def test_a_line_carries_the_job_that_it_is_written_for(self) -> None:
        def work() -> dict[str, Any]:
            begin_job("j-1", caused_by="r-1")
            return line(record())

        fields = contextvars.copy_context().run(work)

        assert (fields["job_id"], fields["request_id"]) == ("j-1", "r-1")
        assert "job_id" not in line(record())


class TestSecrets:
    @pytest.mark.parametrize("shape", [JsonFormatter, TextFormatter])
    def test_a_secret_is_hidden_wherever_it_stands(self, shape: type[JsonFormatter]) -> None:
        secret = 'sk-"é\\canary'
        made = record("key %s", secret, url=f"http://{secret}@host", deep=[{"key": secret}])

        written = shape(secrets=[secret, "canary"]).format(made)

        assert "canary" not in written
        assert "sk-" not in written

    def test_hiding_leaves_the_line_readable(self) -> None:
        fields = json.loads(JsonFormatter(secrets=["s3cret-key", "id"]).format(record(key="s3cret-key")))

        assert (fields["key"], fields["logger"]) == ("[hidden]", "ragstone.test")


def raised(error: Exception, cause: Exception | None = None) -> Any:
    try:
        raise error from cause  # noqa: TRY301 - the trace is wanted
    except Exception as caught:  # noqa: BLE001 - whatever was given
        return type(caught), caught, caught.__traceback__


class TestWhatWorkIsDoneFor:
    async def test_threads_know_the_request_and_tasks_do(self) -> None:
        token = request_id.set("r-5")
        with ThreadPoolExecutor(1) as executor:
            seen = [
                await in_executor(executor, request_id.get),
                await in_thread(request_id.get),
                await in_low_thread(request_id.get),
                await asyncio.create_task(asyncio.to_thread(request_id.get)),
            ]
            request_id.reset(token)
            seen.append(await in_executor(executor, request_id.get))

        assert seen == ["r-5"] * 4 + [None]


class TestText:
    def test_the_same_fields_are_shown_for_reading_along(self) -> None:
        shown = TextFormatter().format(record("version ready", chunks=3))

        assert shown.endswith("info version ready logger=ragstone.test chunks=3")

    def test_no_value_can_begin_a_line_of_its_own(self) -> None:
        shown = TextFormatter().format(record("odd", name_of_it="a\nb\r\nc"))

        assert len(shown.splitlines()) == 1


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

    def test_warnings_and_the_ends_of_threads_are_lines_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging(level="INFO", log_format="json")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("low on memory", stacklevel=1)
        thread = threading.Thread(target=lambda: 1 / 0, name="broken")
        thread.start()
        thread.join()

        warning, broken = map(json.loads, capsys.readouterr().err.splitlines())
        assert (warning["logger"], "low on memory" in warning["event"]) == ("py.warnings", True)
        assert (broken["event"], broken["thread_name"]) == ("thread broke off", "broken")
        assert broken["error"] == "ZeroDivisionError"

    def test_what_libraries_tell_of_each_request_is_left_out(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging(level="DEBUG", log_format="json")
        for name in ("openai", "httpx", "httpx2", "alembic", "openai._base_client"):
            logging.getLogger(name).info("HTTP Request: POST https://user:password@host/v1")
            logging.getLogger(name).debug("a prompt")

        assert capsys.readouterr().err == ""
