"""Who may speak to a server without keys."""

import pytest
from starlette.responses import PlainTextResponse

from ragstone.core.hosts import is_loopback
from ragstone.middleware.trust import TrustMiddleware, host_name
from tests.asgi import Reply, call


async def ask(
    *headers: tuple[str, str],
    allowed_hosts: tuple[str, ...] = (),
    cors_origins: tuple[str, ...] = (),
    scheme: str = "http",
) -> Reply:
    app = TrustMiddleware(PlainTextResponse("in"), allowed_hosts=allowed_hosts, cors_origins=cors_origins)
    return await call(app, headers=headers, scheme=scheme)


class TestHost:
    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:8000", "[::1]", "[::1]:8000", "127.8.9.10:1"],
    )
    async def test_loopback_may_call(self, host: str) -> None:
        assert (await ask(("host", host))).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "127.0.0.1.",
            "0.0.0.0",
            "[::]",
            "10.0.0.1",
            "192.168.1.5:8000",
            "2130706433",
            "0x7f000001",
            "127.1",
            "user@localhost",
            "evil.example@127.0.0.1",
            "127.0.0.1@evil.example",
            "localhost/path",
            "localhost#evil",
            "localhost?x",
            "localhost:80:80",
            "localhost:evil.example",
            "localhost:",
            "::1",
            "[::1",
            "[::1]evil.example",
            "[127.0.0.1]evil",
            "localhost, evil.example",
            "localhost evil.example",
            "\t localhost",
            "lócalhost",
        ],
    )
    async def test_any_other_name_is_refused(self, host: str) -> None:
        reply = await ask(("host", host))

        assert (reply.status, reply.code) == (403, "forbidden_host")

    async def test_a_request_without_a_host_is_refused(self) -> None:
        assert (await ask()).code == "forbidden_host"

    async def test_two_hosts_are_refused_even_if_both_are_loopback(self) -> None:
        assert (await ask(("host", "localhost"), ("host", "localhost"))).code == "forbidden_host"

    @pytest.mark.parametrize("host", ["rag.example", "RAG.example:8000", "rag.example:443"])
    async def test_an_allowed_name_may_call_on_any_port(self, host: str) -> None:
        assert (await ask(("host", host), allowed_hosts=("Rag.Example",))).status == 200

    async def test_a_name_may_be_allowed_for_one_port_only(self) -> None:
        allowed = ("rag.example:8443",)

        assert (await ask(("host", "rag.example:8443"), allowed_hosts=allowed)).status == 200
        assert (await ask(("host", "rag.example"), allowed_hosts=allowed)).status == 403

    async def test_an_allowed_name_does_not_allow_its_subdomains(self) -> None:
        assert (await ask(("host", "a.rag.example"), allowed_hosts=("rag.example",))).status == 403


class TestAddress:
    @pytest.mark.parametrize("server", [None, ("127.0.0.1", 1), ("::1", 1), ("/run/ragstone.sock", None)])
    async def test_loopback_and_unix_sockets_are_served(self, server: tuple[str, int | None] | None) -> None:
        app = TrustMiddleware(PlainTextResponse("in"))

        assert (await call(app, headers=[("host", "localhost")], server=server)).status == 200

    @pytest.mark.parametrize("address", ["192.168.1.5", "0.0.0.0", "::", "fe80::1", "10.0.0.1"])
    async def test_what_arrives_from_outside_is_refused_whatever_its_host(self, address: str) -> None:
        """As when uvicorn is told to listen everywhere: there are no keys."""
        app = TrustMiddleware(PlainTextResponse("in"), allowed_hosts=("rag.example",))

        for host in ("localhost", "rag.example"):
            reply = await call(app, headers=[("host", host)], server=(address, 8000))
            assert (reply.status, reply.code) == (403, "forbidden_host")


class TestOrigin:
    HOST = ("host", "localhost:8000")

    @pytest.mark.parametrize("origin", ["http://localhost:8000", "HTTP://LOCALHOST:8000"])
    async def test_its_own_pages_may_call(self, origin: str) -> None:
        assert (await ask(self.HOST, ("origin", origin))).status == 200

    @pytest.mark.parametrize(
        "origin",
        [
            "null",
            "",
            "http://localhost",
            "http://localhost:8001",
            "https://localhost:8000",
            "http://127.0.0.1:8000",
            "http://evil.example",
            "http://localhost:8000.evil.example",
            "http://localhost:8000/",
            "http://localhost:8000@evil.example",
            "file://",
            "chrome-extension://abcdef",
        ],
    )
    async def test_pages_of_another_origin_are_refused(self, origin: str) -> None:
        reply = await ask(self.HOST, ("origin", origin))

        assert (reply.status, reply.code) == (403, "forbidden_origin")

    async def test_two_origins_are_refused(self) -> None:
        own, other = ("origin", "http://localhost:8000"), ("origin", "http://evil.example")

        assert (await ask(self.HOST, own, other)).status == 403
        assert (await ask(self.HOST, other, own)).status == 403

    @pytest.mark.parametrize("origin", ["https://app.example", "https://APP.example"])
    async def test_an_allowed_site_may_call(self, origin: str) -> None:
        reply = await ask(self.HOST, ("origin", origin), cors_origins=("https://App.example/",))

        assert reply.status == 200

    async def test_an_allowed_site_is_allowed_with_its_scheme_only(self) -> None:
        reply = await ask(self.HOST, ("origin", "http://app.example"), cors_origins=("https://app.example",))

        assert reply.status == 403

    async def test_an_allowed_site_does_not_make_a_foreign_host_acceptable(self) -> None:
        reply = await ask(
            ("host", "evil.example"), ("origin", "https://app.example"), cors_origins=("https://app.example",)
        )

        assert reply.code == "forbidden_host"

    async def test_its_own_pages_over_tls_may_call(self) -> None:
        reply = await ask(
            ("host", "rag.example"),
            ("origin", "https://rag.example"),
            allowed_hosts=("rag.example",),
            scheme="https",
        )

        assert reply.status == 200


@pytest.mark.parametrize(
    ("host", "name"), [("localhost:1", "localhost"), ("[::1]:1", "::1"), ("[oops", ""), ("a@b", ""), ("", "")]
)
def test_the_name_is_taken_from_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("name", "expected"), [("::1", True), ("127.0.0.53", True), ("::", False), ("x", False)]
)
def test_loopback_is_told_from_addresses_and_one_name(name: str, expected: bool) -> None:
    assert is_loopback(name) is expected
