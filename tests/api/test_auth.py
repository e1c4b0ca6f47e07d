"""Every path with no key, a wrong key and a right one; made from the OpenAPI document, so that new routes are tried.
Beside it `/mcp`, whose own protocol describes it."""

import logging
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from ragstone.api.main import create_app
from ragstone.api.mcp.route import PATH as MCP_PATH
from ragstone.api.routes import page
from ragstone.auth.keys import LOCAL, ApiKeys
from ragstone.bootstrap import Container
from ragstone.config.settings import Settings, load_settings
from tests.asgi import Reply, call

KEY, OTHER = "k3y-0123456789abcdef", "0ther-0123456789abcdef"
OPEN = {"/health", "/health/live", "/health/ready"}
UNDOCUMENTED = ("/docs", "/openapi.json", *sorted(page.PATHS))
HOST = ("host", "rag.internal:8000")
JSON = ("content-type", "application/json")
NO_KEYS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("authorization", "Bearer wrong"),),
    (("authorization", f"Basic {KEY}"),),
    (("authorization", KEY),),
    (("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {KEY}")),
    (("x-api-key", ""),),
    (("x-api-key", f"{KEY},{OTHER}"),),
    (("cookie", f"api_key={KEY}"),),
)
KEYS = (("authorization", f"Bearer {KEY}"), ("authorization", f"bearer  {OTHER}"), ("x-api-key", KEY))


def operations() -> Iterator[tuple[str, str]]:
    """Method and path of every route, with an id that nobody has."""
    for path, methods in create_app(load_settings()).openapi()["paths"].items():
        filled = path.replace("{version}", "1").replace("{name}", "nowhere").replace("{store_id}", "default")
        filled = re.sub(r"\{\w+\}", MISSING, filled)
        for method in methods:
            yield method.upper(), filled
    yield "POST", MCP_PATH


MISSING = str(uuid.UUID(int=1, version=4))
OPERATIONS = list(operations())
NEEDING = [each for each in OPERATIONS if each[1] not in OPEN]


@pytest.fixture(scope="module")
def guarded(container: Container, app_settings: Settings) -> FastAPI:
    """Over the shared container, with keys."""
    app = create_app(app_settings, container)
    app.state.container = _WithKeys(container, ApiKeys({"web": KEY, "app": OTHER}))
    return app


class _WithKeys:
    def __init__(self, container: Container, keys: ApiKeys):
        self.keys = keys
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)


async def ask(app: FastAPI, method: str, path: str, *headers: tuple[str, str]) -> Reply:
    return await call(
        app, method, path, headers=[HOST, JSON, *headers], body=[b"{}"], server=("10.0.0.7", 80)
    )


class TestMatrix:
    @pytest.mark.parametrize("headers", NO_KEYS, ids=str)
    async def test_without_a_key_nothing_is_even_looked_at(
        self, guarded: FastAPI, container: Container, headers: tuple[tuple[str, str], ...]
    ) -> None:
        for method, path in NEEDING:
            reply = await ask(guarded, method, path, *headers)

            assert (reply.status, reply.code, reply.pieces_read) == (401, "unauthorized", 0), (method, path)
            assert reply.headers["www-authenticate"].startswith("Bearer")
            assert reply.json["error"]["request_id"] == reply.headers["x-request-id"]

    @pytest.mark.parametrize("header", KEYS, ids=str)
    async def test_with_a_key_nothing_is_refused(
        self, guarded: FastAPI, container: Container, header: tuple[str, str]
    ) -> None:
        for method, path in OPERATIONS:
            assert (await ask(guarded, method, path, header)).status not in (401, 403, 500), (method, path)

    @pytest.mark.parametrize("headers", [(), (("authorization", "Bearer wrong"),)], ids=str)
    async def test_probes_documentation_and_page_need_none(
        self, guarded: FastAPI, container: Container, headers: tuple[tuple[str, str], ...]
    ) -> None:
        for path in (*OPEN, *UNDOCUMENTED):
            assert (await ask(guarded, "GET", path, *headers)).status == 200, path

    def test_most_routes_need_one(self) -> None:
        assert len(NEEDING) == len(OPERATIONS) - len(OPEN)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/documents/",
            "//documents",
            "/./documents",
            "/health/../documents",
            "/docs/../documents",
            "/nope",
            "//",
        ),
        *("/page", "/page/", "/page/index.html", "/page/nope.js", "/page/main.js/", "/page/../documents"),
        *(
            "/health/",
            "/HEALTH",
            "/documents;/health",
            "/openapi.json/",
            "/metrics",
            "/redoc",
            "/health/live/x",
        ),
    ],
)
async def test_no_other_spelling_of_a_path_is_open(guarded: FastAPI, container: Container, path: str) -> None:
    assert (await ask(guarded, "GET", path)).status == 401


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND"])
async def test_no_other_method_is_open(guarded: FastAPI, container: Container, method: str) -> None:
    assert (await ask(guarded, method, "/documents")).status == 401


class TestHealth:
    async def test_strangers_see_four_fields(self, guarded: FastAPI, container: Container) -> None:
        found = (await ask(guarded, "GET", "/health")).json

        assert set(found) == {"status", "qdrant_connected", "uptime", "api_version"}

    async def test_callers_see_the_parts(self, guarded: FastAPI, container: Container) -> None:
        assert "vector_store" in (await ask(guarded, "GET", "/health", KEYS[0])).json["components"]


class TestSites:
    """With keys neither Host nor Origin decides; pages of other sites read replies where CORS_ORIGINS names them."""

    PAGE = ("origin", "https://app.example")

    async def test_another_sites_page_without_a_key_gets_nothing(
        self, guarded: FastAPI, container: Container
    ) -> None:
        reply = await ask(guarded, "POST", "/documents", ("origin", "https://evil.example"))

        assert reply.status == 401
        assert "access-control-allow-origin" not in reply.headers

    async def test_a_preflight_needs_no_key(self, guarded: FastAPI, container: Container) -> None:
        asked = ("access-control-request-method", "PATCH"), (
            "access-control-request-headers",
            "authorization",
        )
        reply = await ask(guarded, "OPTIONS", "/documents/1", self.PAGE, *asked)

        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == self.PAGE[1]
        assert reply.headers["access-control-allow-headers"] == "authorization"

    async def test_a_preflight_of_another_site_is_refused_in_our_shape(
        self, guarded: FastAPI, container: Container
    ) -> None:
        asked = ("access-control-request-method", "POST")
        reply = await ask(guarded, "OPTIONS", "/query", ("origin", "https://evil.example"), asked)

        assert (reply.status, reply.code) == (403, "forbidden_origin")
        assert "access-control-allow-origin" not in reply.headers

    async def test_a_page_may_read_why_it_was_refused_and_when_to_come_back(
        self, guarded: FastAPI, container: Container
    ) -> None:
        reply = await ask(guarded, "GET", "/documents", self.PAGE)

        assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, self.PAGE[1])
        exposed = reply.headers["access-control-expose-headers"]
        assert exposed == "X-Request-ID, Server-Timing, Retry-After, Mcp-Session-Id"


class TestPrincipal:
    async def test_the_rest_is_told_whose_key_it_is(self, container: Container) -> None:
        assert await _principal(ApiKeys({"web": KEY}), ("x-api-key", KEY)) == "web"
        assert await _principal(ApiKeys({})) == LOCAL
        assert await _principal(ApiKeys({"web": KEY}), path="/health") is None

    async def test_no_key_is_logged(
        self, guarded: FastAPI, container: Container, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            for headers in (*NO_KEYS, *((key,) for key in KEYS)):
                await ask(guarded, "GET", "/documents", *headers)

        assert caplog.records
        assert not [
            record for record in caplog.records if KEY in str(vars(record)) or OTHER in str(vars(record))
        ]


async def _principal(keys: ApiKeys, *headers: tuple[str, str], path: str = "/documents") -> object:
    from starlette.responses import PlainTextResponse
    from starlette.types import Receive, Scope, Send

    from ragstone.middleware.auth import AuthMiddleware

    seen: list[object] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["state"].get("principal"))
        await PlainTextResponse("in")(scope, receive, send)

    await call(AuthMiddleware(inner, keys=lambda: keys), "GET", path, headers=headers)
    return seen[0]


class TestIds:
    """Whoever guesses learns nothing."""

    async def test_ids_are_random(self, api: Any, collection: str) -> None:
        uploads = [await api.upload_text(f"Text {n}.", collection=collection) for n in range(3)]
        ids = [part["id"] for upload in uploads for part in (upload["document"], upload["job"])]

        assert {uuid.UUID(each).version for each in ids} == {4}
        assert len(set(ids)) == len(ids)

    @pytest.mark.parametrize(("method", "path"), [each for each in NEEDING if MISSING in each[1]], ids=str)
    async def test_what_is_missing_is_told_in_the_same_words(
        self, guarded: FastAPI, container: Container, method: str, path: str
    ) -> None:
        if method in ("PUT", "PATCH") or (method == "POST" and path.endswith(f"/files/{MISSING}")):
            pytest.skip("a body is judged first")
        other = path.replace(MISSING, str(uuid.uuid4()))

        replies = [await ask(guarded, method, each, KEYS[0]) for each in (path, other)]

        assert {reply.status for reply in replies} == {404}
        assert len({(reply.code, len(reply.body)) for reply in replies}) == 1
