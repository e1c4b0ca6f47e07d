"""Every error has the one shape; every reply its id; no log line a user's words."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from ragstone.bootstrap import Container
from ragstone.core.logs import JsonFormatter
from tests.apiclient import Api

CANARY = "xyzzy-canary-4711"


class TestRoutes:
    @pytest.mark.parametrize(
        "path",
        [
            "/page",
            "/page/nope.js",
            "/nope",
            "/documents/",
            "/documents//",
            "/query/",
            "/v1/query",
            "/health/x",
        ],
    )
    async def test_an_unknown_path_is_404_and_never_a_redirect(self, api: Api, path: str) -> None:
        error = await api.refused("GET", path, 404)

        assert error["code"] in {"route_not_found", "document_not_found"}

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/query"),
            ("PUT", "/documents"),
            ("PATCH", "/documents"),
            ("POST", "/health"),
            ("TRACE", "/search"),
        ],
    )
    async def test_an_unknown_method_is_405_and_names_the_known(
        self, api: Api, method: str, path: str
    ) -> None:
        response = await api.call(method, path)

        assert response.status_code == 405
        assert response.json()["error"]["code"] == "method_not_allowed"
        assert response.headers["allow"]

    async def test_the_documentation_page_is_served(self, client: httpx2.AsyncClient) -> None:
        response = await client.get("/docs")

        assert response.status_code == 200


class TestBodies:
    @pytest.mark.parametrize("path", ["/query", "/search", "/collections", "/documents"])
    @pytest.mark.parametrize(
        "content",
        [b"{", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 50_000, b"\x00", b"'x'"],
    )
    async def test_what_is_not_json_is_400(self, api: Api, path: str, content: bytes) -> None:
        headers = {"content-type": "application/json"}

        error = await api.refused("POST", path, 400, content=content, headers=headers)

        assert error["code"] == "malformed_body"

    @pytest.mark.parametrize("path", ["/query", "/search", "/collections", "/documents"])
    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", ""]
    )
    async def test_another_content_type_is_415(self, api: Api, path: str, content_type: str) -> None:
        headers = {"content-type": content_type} if content_type else {}

        error = await api.refused(
            "POST", path, 415, content=b'{"query": "x", "text": "x", "name": "x"}', headers=headers
        )

        assert error["code"] == "unsupported_media_type"

    async def test_details_name_the_place_and_never_repeat_the_input(self, api: Api) -> None:
        response = await api.call("POST", "/query", json={"query": 5, "top_k": CANARY, CANARY * 50: 1})

        details = response.json()["error"]["details"]
        assert {tuple(detail["loc"])[:2] for detail in details} >= {("body", "query"), ("body", "top_k")}
        assert all(len(part) <= 200 for detail in details for part in detail["loc"] if isinstance(part, str))
        assert f'"{CANARY}"' not in response.text


class TestRequestId:
    async def test_the_callers_id_is_taken(self, api: Api) -> None:
        response = await api.call("GET", "/health", headers={"X-Request-ID": "my-id-1"})

        assert response.headers["x-request-id"] == "my-id-1"

    @pytest.mark.parametrize("given", ["x" * 129, "two words", "t\tb"])
    async def test_an_unusable_id_is_replaced(self, api: Api, given: str) -> None:
        response = await api.call("GET", "/nope", headers={"X-Request-ID": given})

        assert response.headers["x-request-id"] != given
        assert response.json()["error"]["request_id"] == response.headers["x-request-id"]


class Collector(logging.Handler):
    """Everything that is logged, as its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    collector, root = Collector(), logging.getLogger()
    level = root.level
    collector.addFilter(
        lambda record: not record.name.startswith(("httpx2", "httpcore2"))
    )  # the tests' own client
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    yield collector.lines
    root.removeHandler(collector)
    root.setLevel(level)


class TestLogs:
    async def test_each_request_is_one_json_line_with_its_id_and_stage_times(
        self, api: Api, collection: str, logged: list[str]
    ) -> None:
        await api.call(
            "POST", "/search", json={"query": "x", "collection": collection}, headers={"X-Request-ID": "r-5"}
        )

        lines = [json.loads(line) for line in logged]
        (line,) = [line for line in lines if line["event"] == "request" and line.get("request_id") == "r-5"]
        assert (line["method"], line["route"], line["status"]) == ("POST", "/search", 200)
        assert {"embedding_ms", "search_ms", "total_ms"} <= set(line)

    async def test_neither_questions_nor_documents_are_logged(
        self, api: Api, collection: str, logged: list[str]
    ) -> None:
        await api.ready(f"All about {CANARY}.".encode(), f"{CANARY}.txt", collection=collection, title=CANARY)
        await api.search(CANARY, collection=collection)
        await api.query(
            f"What is {CANARY}?", collection=collection, history=[{"role": "user", "content": CANARY}]
        )
        await api.call("POST", "/query", json={"query": CANARY, "top_k": CANARY, CANARY: 1})
        await api.call("GET", f"/documents/{CANARY}")
        await api.call("GET", f"/{CANARY}", params={"q": CANARY}, headers={"Authorization": CANARY})
        await api.call("POST", "/documents", json={"text": CANARY, "metadata": {CANARY: {"x": CANARY}}})
        await api.settled(await api.upload(b" ", f"{CANARY}.html", collection=collection))

        assert logged
        assert [line for line in logged if CANARY in line] == []


async def test_a_defect_is_500_in_our_shape_and_logged_with_its_id(
    app: FastAPI, container: Container, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*arguments: Any, **options: Any) -> Any:
        raise KeyError("a detail inside")

    monkeypatch.setattr(type(container.health), "check", breaks)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        error = await Api(http).refused("GET", "/health", 500)

    assert error["code"] == "internal_error"
    assert "inside" not in error["message"]
    (line,) = [json.loads(line) for line in logged if "KeyError" in line]
    assert line["request_id"] == error["request_id"]
