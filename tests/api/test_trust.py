"""Host, Origin and CORS on the whole application (allowed: rag.example, https://app.example)."""

import pytest
from fastapi import FastAPI

from ragstone.bootstrap import Container
from tests.asgi import Reply, call

EVIL_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nplanted\r\n--x--\r\n'
)


async def ask(
    app: FastAPI, *headers: tuple[str, str], method: str = "GET", path: str = "/health/live"
) -> Reply:
    return await call(app, method, path, headers=headers)


@pytest.mark.parametrize("path", ["/health", "/health/live", "/docs", "/openapi.json", "/documents", "/nope"])
async def test_a_foreign_host_is_refused_on_every_path(app: FastAPI, container: Container, path: str) -> None:
    reply = await ask(app, ("host", "evil.example"), path=path)

    assert (reply.status, reply.code) == (403, "forbidden_host")
    assert reply.headers["x-request-id"] == reply.json["error"]["request_id"]


@pytest.mark.parametrize("hosts", [[], ["localhost", "127.0.0.1"], ["localhost", "evil.example"]])
async def test_none_or_two_hosts_are_refused(app: FastAPI, container: Container, hosts: list[str]) -> None:
    assert (await ask(app, *(("host", host) for host in hosts))).status == 403


async def test_an_allowed_host_is_served(app: FastAPI, container: Container) -> None:
    assert (await ask(app, ("host", "rag.example"))).status == 200


async def test_another_sites_form_cannot_plant_a_document(app: FastAPI, container: Container) -> None:
    headers = [
        ("host", "127.0.0.1:8000"),
        ("origin", "https://evil.example"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-length", str(len(EVIL_FORM))),
    ]

    reply = await call(app, "POST", "/documents", headers=headers, body=[EVIL_FORM])

    assert (reply.status, reply.code, reply.pieces_read) == (403, "forbidden_origin", 0)


async def test_a_sandboxed_page_is_refused(app: FastAPI, container: Container) -> None:
    assert (await ask(app, ("host", "localhost"), ("origin", "null"))).status == 403


class TestCors:
    ALLOWED = ("origin", "https://app.example")
    HOST = ("host", "rag.example")

    async def test_an_allowed_site_may_ask_first(self, app: FastAPI, container: Container) -> None:
        reply = await ask(
            app,
            self.HOST,
            self.ALLOWED,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
            method="OPTIONS",
            path="/query",
        )

        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        allowed = {method.strip() for method in reply.headers["access-control-allow-methods"].split(",")}
        assert allowed >= {"GET", "POST", "PUT", "PATCH", "DELETE"}
        assert "access-control-allow-credentials" not in reply.headers

    async def test_its_requests_are_served_and_the_useful_headers_exposed(
        self, app: FastAPI, container: Container
    ) -> None:
        reply = await ask(app, self.HOST, self.ALLOWED)

        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        assert "X-Request-ID" in reply.headers["access-control-expose-headers"]

    async def test_another_site_may_not_even_ask(self, app: FastAPI, container: Container) -> None:
        reply = await ask(
            app,
            self.HOST,
            ("origin", "https://evil.example"),
            ("access-control-request-method", "POST"),
            method="OPTIONS",
            path="/query",
        )

        assert reply.code == "forbidden_origin"
        assert "access-control-allow-origin" not in reply.headers

    async def test_errors_reach_an_allowed_site_too(self, app: FastAPI, container: Container) -> None:
        reply = await ask(app, self.HOST, self.ALLOWED, path="/nope")

        assert reply.status == 404
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
