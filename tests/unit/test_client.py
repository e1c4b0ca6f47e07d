"""The client's surface: every route of the API, once and the same for both clients; what goes out; what errors say."""

import inspect
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest

from ragstone.api.main import create_app
from ragstone.api.schemas.error import ErrorDetail
from ragstone.client import (
    ApiError,
    AsyncRagstone,
    CallFailed,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    JobFailed,
    NotFound,
    Progress,
    Ragstone,
    RateLimited,
    ServerFailed,
    StillWorking,
    TooLarge,
    Unauthorized,
    Unavailable,
    UpstreamFailed,
)
from ragstone.client.call import Call
from ragstone.client.calls import collections, documents, jobs, operations, questions, uploads
from ragstone.config.settings import Settings

MODULES = (collections, documents, jobs, operations, questions, uploads)
GROUPS = ("documents", "collections", "jobs", "admin")
IDS = {"document_id": "D", "job_id": "J", "name": "N", "version": 3, "content": b"", "contents": [b""]}


def calls() -> list[Call[Any]]:
    """One of each, with something for what it must be given."""
    made = []
    for module in MODULES:
        for name, build in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or build.__module__ != module.__name__:
                continue
            needed = [
                parameter.name
                for parameter in inspect.signature(build).parameters.values()
                if parameter.default is parameter.empty
            ]
            call = build(**{name: IDS.get(name, "x") for name in needed})
            made.append(getattr(call, "call", call))
    return made


def methods(client: object) -> dict[str, inspect.Signature]:
    """Public ones, and what they take."""
    found = {}
    for name in dir(client):
        method = getattr(client, name)
        if not name.startswith("_") and inspect.ismethod(method):
            found[name] = inspect.signature(method)
    return found


class TestRoutes:
    def test_there_is_a_call_for_every_route(self) -> None:
        """OpenAI's dialect has a client of its own."""
        paths = create_app(Settings()).openapi()["paths"]
        routes = {
            (method.upper(), path)
            for path, methods in paths.items()
            for method in methods
            if not path.startswith("/v1/")
        }

        called = {(call.method, call.path) for call in calls()}

        assert {(method, _as_called(path)) for method, path in routes} == called

    async def test_both_clients_take_the_same(self) -> None:
        with Ragstone() as waiting:
            async with AsyncRagstone() as awaited:
                for one, other in [(waiting, awaited), *_groups(waiting, awaited)]:
                    ours, theirs = methods(one), methods(other)
                    assert {name: taken.parameters for name, taken in ours.items()} == {
                        name: taken.parameters for name, taken in theirs.items()
                    }

    def test_help_shows_what_a_method_takes_and_does(self) -> None:
        assert "top_k" in inspect.signature(Ragstone.query).parameters
        assert Ragstone.query.__doc__ == questions.query.__doc__
        assert "while it is written" in str(Ragstone.stream.__doc__)

    def test_a_misspelt_option_is_a_mistake(self) -> None:
        with Ragstone() as client, pytest.raises(TypeError, match="topk"):
            client.query("?", topk=3)  # type: ignore[call-arg]


def _as_called(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: str(IDS[found[1]]), path)


def _groups(waiting: Ragstone, awaited: AsyncRagstone) -> list[tuple[object, object]]:
    return [(getattr(waiting, name), getattr(awaited, name)) for name in GROUPS]


class Wire:
    """What a client sends, answered with an error."""

    def __init__(self, status: int = 404, body: Any = None, **headers: str):
        self.requests: list[httpx2.Request] = []
        self._response = {"status_code": status, "json": body, "headers": headers}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        return httpx2.Response(**self._response)

    def failure(self, act: Callable[[Ragstone], object], **options: Any) -> CallFailed:
        """What is raised of it."""
        transport = httpx2.MockTransport(self.answer)
        with (
            Ragstone("http://127.0.0.1/rag/", transport=transport, **options) as client,
            pytest.raises(CallFailed) as told,
        ):
            act(client)
        return told.value

    @property
    def body(self) -> str:
        return self.requests[-1].content.decode()


class TestRequests:
    def test_what_is_left_out_is_left_to_the_api(self) -> None:
        wire = Wire()

        wire.failure(lambda client: client.query("?"))

        assert wire.body == '{"query": "?", "collection": "default"}'
        assert str(wire.requests[0].url) == "http://127.0.0.1/rag/query"

    def test_a_patch_tells_nothing_from_null(self) -> None:
        wire = Wire()

        wire.failure(lambda client: client.documents.update("a/b", expires_at=None, metadata={"x": None}))

        assert wire.body == '{"metadata": {"x": null}, "expires_at": null}'
        assert wire.requests[0].url.raw_path == b"/rag/documents/a%2Fb"

    def test_the_key_is_sent_and_never_shown(self) -> None:
        wire = Wire()

        failure = wire.failure(lambda client: client.live(), api_key="secret-key")

        assert wire.requests[0].headers["authorization"] == "Bearer secret-key"
        client = Ragstone(api_key="secret-key")
        assert "secret" not in f"{failure!r} {client!r} {client._connection.server!r}"

    def test_a_lone_surrogate_is_for_the_server_to_refuse(self) -> None:
        wire = Wire()

        wire.failure(lambda client: client.query("\ud800"))

        assert "\\ud800" in wire.body

    @pytest.mark.parametrize("form", ["path", "text", "bytes", "file", "pipe"])
    def test_a_file_is_given_in_any_form(self, tmp_path: Path, form: str) -> None:
        wire, path = Wire(), tmp_path / "größe.txt"
        path.write_bytes(b"content of it")
        with path.open("rb") as file:
            content: Any = {
                "path": path,
                "text": str(path),
                "bytes": b"content of it",
                "file": file,
                "pipe": _Pipe(b"content of it"),
            }[form]
            wire.failure(lambda client: client.upload(content))

        named = "größe.txt" if form in ("path", "text", "file") else "unnamed"
        assert f'filename="{named}"' in wire.body
        assert "content of it" in wire.body

    def test_progress_counts_the_bytes_from_the_start_at_each_attempt(self, tmp_path: Path) -> None:
        wire, sent = Wire(503, retry_after="0"), list[int]()

        wire.failure(
            lambda client: client.upload(BytesIO(b"x" * 100_000), on_progress=lambda at: sent.append(at.done))
        )

        assert sent == [65_536, 100_000] * 3


class TestWaiting:
    JOB: ClassVar[dict[str, Any]] = {
        **dict.fromkeys(("document_id", "version", "stage", "next_retry_at", "error", "finished_at")),
        "id": "J",
        "kind": "ingest",
        "state": "running",
        "attempts": 1,
        "chunks_reused": 0,
        "stage_ms": {},
        "progress": {"done": 0, "total": 0, "unit": "chunks"},
        "created_at": "2026-01-01T00:00:00Z",
    }

    def test_nobody_waits_longer_than_asked_to(self) -> None:
        wire, seen = Wire(200, self.JOB), list[Progress]()

        with (
            Ragstone(transport=httpx2.MockTransport(wire.answer)) as client,
            pytest.raises(StillWorking, match=r"job J is still running after 0.2 s"),
        ):
            client.jobs.wait("J", timeout_s=0.2, on_progress=seen.append)

        assert len(wire.requests) > 2
        assert len(seen) == 1, "nothing changed"

    def test_a_cancelled_job_has_failed(self) -> None:
        wire = Wire(200, {**self.JOB, "state": "cancelled"})

        with (
            Ragstone(transport=httpx2.MockTransport(wire.answer)) as client,
            pytest.raises(JobFailed, match="cancelled: the job was cancelled"),
        ):
            client.jobs.wait("J")


class _Pipe(BytesIO):
    def seekable(self) -> bool:
        """No."""
        return False

    def seek(self, *_: int) -> int:
        """Neither."""
        raise OSError


KINDS = [
    (400, InvalidRequest),
    (401, Unauthorized),
    (403, Forbidden),
    (404, NotFound),
    (409, Conflict),
    (413, TooLarge),
    (422, InvalidRequest),
    (429, RateLimited),
    (500, ServerFailed),
    (502, UpstreamFailed),
    (503, Unavailable),
    (504, DeadlineExceeded),
]


class TestErrors:
    @pytest.mark.parametrize(("status", "kind"), KINDS)
    def test_each_status_has_its_class(self, status: int, kind: type[ApiError]) -> None:
        wire = Wire(status, {"error": {"code": "c", "message": "m"}})

        failure = wire.failure(lambda client: client.live(), max_retries=0)

        assert type(failure) is kind
        assert str(failure) == "c: m"

    def test_an_error_keeps_all_that_the_api_says(self) -> None:
        detail = {"loc": ["body", "query"], "type": "missing", "msg": "Field required"}
        error = {"code": "c", "message": "m", "retryable": True, "request_id": "id", "details": [detail]}
        wire = Wire(503, {"error": error}, **{"retry-after": "7"})

        failure = wire.failure(lambda client: client.query("?"), max_retries=0)

        assert isinstance(failure, ApiError)
        assert (failure.code, failure.message, failure.status) == ("c", "m", 503)
        assert (failure.retryable, failure.request_id, failure.retry_after_s) == (True, "id", 7.0)
        assert failure.details == (ErrorDetail.model_validate(detail),)

    @pytest.mark.parametrize("body", [None, [], {}, {"error": "bad gateway"}, {"error": {"code": 1}}])
    def test_what_is_no_error_of_the_api_is_told_with_its_address(self, body: Any) -> None:
        failure = Wire(418, body).failure(lambda client: client.live())

        assert str(failure) == (
            "http://127.0.0.1/rag/health/live answers 418 with what is no error of Ragstone's API"
        )

    def test_that_it_is_not_ready_is_a_reply(self) -> None:
        wire = Wire(503, {"status": "not_ready", "components": {}})

        with Ragstone(transport=httpx2.MockTransport(wire.answer)) as client:
            assert client.ready().status == "not_ready"

    def test_files_that_are_all_refused_are_a_reply(self) -> None:
        error = {"code": "unsupported_media_type", "message": "m"}
        wire = Wire(415, {"items": [{"filename": "a", "error": error}]})

        with Ragstone(transport=httpx2.MockTransport(wire.answer)) as client:
            (item,) = client.upload_many([b""]).items

        assert item.error is not None
        assert item.error.code == "unsupported_media_type"


class TestOwnership:
    def test_a_client_of_yours_is_used_and_not_closed(self) -> None:
        wire = Wire()
        with httpx2.Client(transport=httpx2.MockTransport(wire.answer)) as http:
            with Ragstone(http=http) as client, pytest.raises(CallFailed):
                client.live()
            assert not http.is_closed

    async def test_so_is_one_that_is_awaited(self) -> None:
        wire = Wire()
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(wire.answer)) as http:
            async with AsyncRagstone(http=http) as client:
                with pytest.raises(CallFailed):
                    await client.live()
            assert not http.is_closed

    def test_other_options_are_of_the_same_connections(self) -> None:
        wire = Wire(503)
        with Ragstone(transport=httpx2.MockTransport(wire.answer)) as client:
            hasty = client.with_options(max_retries=0, timeout_s=1.0)
            with hasty, pytest.raises(CallFailed):
                hasty.documents.get("x")
            with pytest.raises(CallFailed):
                client.with_options(max_retries=1).live()

        assert len(wire.requests) == 3
        assert wire.requests[0].extensions["timeout"]["read"] <= 1.0
