"""What no honest MCP client sends: bodies, headers and arguments. Nothing gets a 5xx, and every reply renders."""

import json
import time
from typing import Any

import httpx2
import pytest
from mcp.types import HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR
from mcp.types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from ragstone.api.main import QUESTION_BYTES
from tests.apiclient import Api, Json
from tests.mcpclient import BOTH, ERAS, call, headers_of, message, post

LONE = "\\ud800"
NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999"]
QUICK_S = 1.0
JSON_TYPES = {"content-type": "application/json"}


async def send(api: Api, content: bytes | str, **headers: str) -> httpx2.Response:
    """As it is; the reply has what all replies have, and is strict JSON."""
    response = await api.http.post("/mcp", content=content, headers={**BOTH, **headers})
    assert response.headers["x-request-id"]
    assert "total;dur=" in response.headers["server-timing"]
    if response.content:
        json.loads(response.content.decode("utf-8"), parse_constant=pytest.fail)
    return response


def replaced(body: Json, mark: str, raw: str) -> str:
    """The message with something in it that Python would not write."""
    return json.dumps(body).replace(f'"{mark}"', raw)


class TestBodies:
    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", PARSE_ERROR),
            (b"{", PARSE_ERROR),
            (b"\xff\xfe{\x00}\x00", PARSE_ERROR),
            (b"\xef\xbb\xbf{}", PARSE_ERROR),
            (b"[" * 100_000, PARSE_ERROR),
            (b'{"jsonrpc": "2.0", "id": ' + b"9" * 5_000 + b', "method": "ping"}', PARSE_ERROR),
            (b"{}", INVALID_REQUEST),
            (b"[]", INVALID_REQUEST),
            (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', INVALID_REQUEST),
            (b"null", INVALID_REQUEST),
            (b"NaN", INVALID_REQUEST),
            (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', INVALID_REQUEST),
            (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', INVALID_REQUEST),
            (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', INVALID_REQUEST),
            (b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}', INVALID_REQUEST),
            (b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}', INVALID_REQUEST),
            (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', INVALID_REQUEST),
            (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}', INVALID_REQUEST),
            (b'{"jsonrpc": "2.0", "id": 1, "result": {}}', INVALID_REQUEST),
        ],
    )
    async def test_what_is_no_message_is_400(self, api: Api, content: bytes, code: int) -> None:
        response = await send(api, content)

        assert (response.status_code, response.json()["error"]["code"]) == (400, code)
        assert response.json()["id"] is None

    @pytest.mark.parametrize("request_id", ["\ud800", 10**30, "x" * 10_000, "", -1])
    @pytest.mark.parametrize("era", ERAS)
    async def test_any_id_comes_back_in_a_reply_that_renders(
        self, api: Api, request_id: Any, era: str
    ) -> None:
        body = message("tools/list", era=era, request_id=request_id)

        response = await send(api, json.dumps(body), **headers_of(body, era=era))

        assert response.status_code == 200
        assert response.json()["id"] == ("?" if request_id == "\ud800" else request_id)

    async def test_a_body_over_the_limit_is_413_before_it_is_read(self, api: Api) -> None:
        refused = await api.refused("POST", "/mcp", 413, content=b" " * (QUESTION_BYTES + 1), headers=BOTH)

        assert refused["code"] == "payload_too_large"

    @pytest.mark.parametrize("content_type", ["text/plain", "", "application/jsonp", "multipart/form-data"])
    async def test_another_content_type_is_415(self, api: Api, content_type: str) -> None:
        await api.refused("POST", "/mcp", 415, content=b"{}", headers={"content-type": content_type})

    async def test_a_compressed_body_is_415(self, api: Api) -> None:
        await api.refused(
            "POST", "/mcp", 415, content=b"{}", headers={**JSON_TYPES, "content-encoding": "gzip"}
        )

    @pytest.mark.parametrize("accept", [None, "text/html", "", "*/*", "application/json;q=0"])
    @pytest.mark.parametrize("era", ERAS)
    async def test_whoever_does_not_take_events_gets_json(
        self, api: Api, accept: str | None, era: str
    ) -> None:
        body = message("tools/call", era=era, name="list_documents", _meta={"progressToken": 1})
        headers = headers_of(body, era=era)
        del headers["accept"]
        request = api.http.build_request("POST", "/mcp", json=body, headers=headers)
        request.headers.pop("accept")
        request.headers.update({} if accept is None else {"accept": accept})

        response = await api.http.send(request)

        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert "items" in response.json()["result"]["structuredContent"]


class TestPaths:
    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"])
    async def test_nothing_but_post_is_known(self, api: Api, method: str) -> None:
        response = await api.http.request(method, "/mcp", headers=BOTH)

        assert (response.status_code, response.headers["allow"]) == (405, "POST")

    @pytest.mark.parametrize("path", ["/mcp/", "/mcp/x", "/mcp/tools/call", "/MCP", "/.//mcp"])
    async def test_no_other_path_is_there(self, api: Api, path: str) -> None:
        assert (await api.refused("POST", path, 404, content=b"{}", headers=BOTH))[
            "code"
        ] == "route_not_found"

    async def test_it_stands_in_metrics_by_its_path(self, api: Api) -> None:
        await call(api.http, "list_documents", {})

        metrics = (await api.http.get("/metrics")).text

        assert 'ragstone_requests_total{method="POST",route="/mcp",status="200"}' in metrics


class TestHeaders:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"mcp-name": "delete_document"}, HEADER_MISMATCH),
            ({"mcp-method": "tools/list"}, HEADER_MISMATCH),
            ({"mcp-protocol-version": "2099-01-01"}, HEADER_MISMATCH),
            ({"mcp-protocol-version": "nonsense"}, HEADER_MISMATCH),
            ({"mcp-name": "=?base64?%%%?="}, HEADER_MISMATCH),
        ],
    )
    async def test_headers_that_differ_from_the_body_are_400(
        self, api: Api, changes: dict[str, str], code: int
    ) -> None:
        body = message("tools/call", name="list_documents", arguments={})

        response = await send(api, json.dumps(body), **{**headers_of(body), **changes})

        assert (response.status_code, response.json()["error"]["code"]) == (400, code)
        assert response.json()["id"] == 1

    async def test_a_handshakes_client_cannot_be_routed_by_headers_that_lie(self, api: Api) -> None:
        era = LATEST_HANDSHAKE_VERSION
        body = message("tools/call", era=era, name="delete_document", arguments={})
        headers = {**headers_of(body, era=era), "mcp-method": "tools/call", "mcp-name": "search"}

        response = await send(api, json.dumps(body), **headers)

        assert (response.status_code, response.json()["error"]["code"]) == (400, HEADER_MISMATCH)

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ({"host": "evil.example"}, "forbidden_host"),
            ({"origin": "https://evil.example"}, "forbidden_origin"),
        ],
    )
    async def test_pages_of_other_sites_are_403(self, api: Api, header: dict[str, str], code: str) -> None:
        refused = await api.refused("POST", "/mcp", 403, json=message("tools/list"), headers=header)

        assert refused["code"] == code

    async def test_an_allowed_host_and_origin_are_not_refused_by_the_sdk(self, api: Api) -> None:
        body = message("tools/list")
        headers = {**headers_of(body), "host": "rag.example", "origin": "https://app.example"}

        response = await send(api, json.dumps(body), **headers)

        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://app.example"

    async def test_an_unknown_version_is_400(self, api: Api) -> None:
        body = message("ping")
        version = "2099-01-01"
        body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = version

        response = await send(api, json.dumps(body), **{**headers_of(body), "mcp-protocol-version": version})

        assert response.status_code == 400
        assert response.json()["error"]["data"]["supported"] == [LATEST_MODERN_VERSION]

    @pytest.mark.parametrize("meta", [None, [], {}, "x", {"io.modelcontextprotocol/protocolVersion": []}])
    async def test_a_request_of_2026_without_its_envelope_is_400(self, api: Api, meta: Any) -> None:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}

        response = await send(api, json.dumps(body), **headers_of(message("tools/list")))

        assert response.status_code == 400


@pytest.mark.parametrize("era", ERAS)
class TestRequests:
    async def test_an_unknown_method_is_told_so(self, api: Api, era: str) -> None:
        response = await post(api.http, message("prompts/list", era=era), era=era)

        assert response.json()["error"]["code"] == METHOD_NOT_FOUND

    @pytest.mark.parametrize("name", ["nonsense", "delete_document", "add_document", "", "ASK"])
    async def test_an_unknown_tool_is_told_so(self, api: Api, era: str, name: str) -> None:
        response = await post(api.http, message("tools/call", era=era, name=name, arguments={}), era=era)

        error = response.json()["error"]
        assert error["code"] == INVALID_PARAMS
        assert error["message"].endswith("there are search, ask, list_documents, get_document")

    @pytest.mark.parametrize("arguments", [[], "x", 5, True])
    async def test_arguments_that_are_no_object_are_refused(self, api: Api, era: str, arguments: Any) -> None:
        response = await post(
            api.http, message("tools/call", era=era, name="ask", arguments=arguments), era=era
        )

        assert response.json()["error"]["code"] == INVALID_PARAMS

    @pytest.mark.parametrize("cursor", ["x", "a.b", "a.b.c", ".default.zzz", "\0", "x" * 100_000])
    async def test_a_cursor_of_another_list_is_refused(self, api: Api, era: str, cursor: str) -> None:
        response = await post(api.http, message("resources/list", era=era, cursor=cursor), era=era)

        assert response.json()["error"]["data"]["error"]["code"] == "invalid_cursor"

    @pytest.mark.parametrize(
        "uri",
        [
            "", "x", "file:///etc/passwd", "ragstone://documents/", "ragstone://documents/../x",
            "ragstone://documents/a/versions/0", "ragstone://documents/a/versions/99999999999999999999",
            "ragstone://documents/" + "a" * 65, "ragstone://documents/a?b", "http://127.0.0.1/x",
            "ragstone://documents/ffffffff-ffff-4fff-bfff-ffffffffffff",
        ],
    )  # fmt: skip
    async def test_an_unknown_resource_is_told_so(self, api: Api, era: str, uri: str) -> None:
        response = await post(api.http, message("resources/read", era=era, uri=uri), era=era)

        error = response.json()["error"]
        assert (error["code"], error["data"]) == (INVALID_PARAMS, {"uri": uri})


@pytest.mark.parametrize("era", ERAS)
class TestArguments:
    @pytest.mark.parametrize("tool", ["ask", "search"])
    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"query": ""},
            {"query": "  "},
            {"query": 5},
            {"query": "x" * 8_001},
            {"query": "x", "top_k": 0},
            {"query": "x", "top_k": True},
            {"query": "x", "top_k": "5"},
            {"query": "x", "top_k": 10**30},
            {"query": "x", "unknown": 1},
            {"query": "x", "filter": {"field": "metadata.a", "regex": "("}},
            {"query": "x", "filter": {"field": "tenant_id", "eq": "default"}},
            {"query": "x", "collection": "../x"},
            {f"k{number}": number for number in range(10_000)},
        ],
        ids=lambda arguments: str(arguments)[:40],
    )
    async def test_what_is_422_elsewhere_is_a_tools_error(
        self, api: Api, era: str, tool: str, arguments: Json
    ) -> None:
        result = await call(api.http, tool, arguments, era=era)

        error = result["structuredContent"]["error"]
        native = await api.refused("POST", "/query" if tool == "ask" else "/search", 422, json=arguments)
        assert result["isError"] is True
        assert (error["code"], error["message"]) == (native["code"], native["message"])
        assert [detail["msg"] for detail in error["details"]] == [
            detail["msg"] for detail in native["details"]
        ]
        assert all(detail["loc"][0] == "arguments" for detail in error["details"])

    async def test_how_an_answer_comes_is_no_argument(self, api: Api, era: str) -> None:
        result = await call(api.http, "ask", {"query": "x", "stream": True}, era=era)

        (detail,) = result["structuredContent"]["error"]["details"]
        assert detail["loc"] == ["arguments", "stream"]

    @pytest.mark.parametrize("number", NUMBERS)
    @pytest.mark.parametrize("member", ["top_k", "temperature", "timeout_s", "query", "include_text"])
    async def test_what_is_no_number_is_a_tools_error(
        self, api: Api, era: str, number: str, member: str
    ) -> None:
        tool = "search" if member == "include_text" else "ask"
        body = message("tools/call", era=era, name=tool, arguments={"query": "x", member: "MARK"})

        response = await send(api, replaced(body, "MARK", number), **headers_of(body, era=era))

        assert response.json()["result"]["isError"] is True

    @pytest.mark.parametrize(
        "arguments",
        [
            {"query": "MARK"},
            {"query": "x", "collection": "MARK"},
            {"query": "x", "MARK": 1},
            {"query": "x", "filter": {"MARK": 1}},
            {"query": "x", "filter": {"field": "title", "eq": "MARK"}},
            {"query": "x", "provider": "MARK"},
        ],
        ids=str,
    )
    async def test_a_lone_surrogate_is_a_tools_error(self, api: Api, era: str, arguments: Json) -> None:
        body = message("tools/call", era=era, name="ask", arguments=arguments)

        response = await send(api, json.dumps(body).replace("MARK", LONE), **headers_of(body, era=era))

        assert response.json()["result"]["isError"] is True

    @pytest.mark.parametrize("depth", [50, 500, 900])
    async def test_deep_nesting_is_refused(self, api: Api, era: str, depth: int) -> None:
        body = message("tools/call", era=era, name="ask", arguments={"query": "x", "filter": "MARK"})
        deep = '{"not":' * depth + "1" + "}" * depth

        response = await send(api, replaced(body, "MARK", deep), **headers_of(body, era=era))

        assert response.status_code in (200, 400)
        assert "error" in response.text

    async def test_a_hundred_thousand_members_are_refused_quickly_and_in_few_words(
        self, api: Api, era: str
    ) -> None:
        body = message("tools/call", era=era, name="ask", arguments={str(n): n for n in range(60_000)})
        content = json.dumps(body)
        started = time.process_time()

        response = await send(api, content, **headers_of(body, era=era))

        assert time.process_time() - started < QUICK_S
        assert response.json()["result"]["isError"] is True
        assert len(response.content) < 20_000

    @pytest.mark.parametrize("document_id", ["", "x" * 65, "\0", "../x", "nothing"])
    async def test_no_document_has_such_an_id(self, api: Api, era: str, document_id: str) -> None:
        result = await call(api.http, "get_document", {"document_id": document_id}, era=era)

        assert result["structuredContent"]["error"]["code"] in ("invalid_request", "document_not_found")
