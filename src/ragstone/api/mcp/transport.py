"""`POST /mcp`: what its headers say, and its reply as JSON or as events."""

import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import Request, Response
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    InboundLadderRejection,
    classify_inbound_request,
    decode_header_value,
    find_duplicated_routing_header,
)
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.types import (
    DEFAULT_NEGOTIATED_VERSION,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCNotification,
    JSONRPCRequest,
)
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers

from ragstone.api.disconnect import while_connected
from ragstone.api.mcp.exchange import Exchange, is_response
from ragstone.api.mcp.in_flight import SESSION_HEADER, InFlight
from ragstone.api.mcp.messages import (
    Json,
    Rejected,
    encode_message,
    error_message,
    parse_message,
    read_message,
)
from ragstone.api.sse import Drain, one_line, stopped, stream_drained
from ragstone.core.errors import InternalError, InvalidRequest, Unavailable
from ragstone.middleware.errors import error_body

log = logging.getLogger(__name__)

EVENTS = "text/event-stream"
LEAST_REFUSAL = 400


async def answer(request: Request, server: Server[Any], in_flight: InFlight) -> Response:
    """To any message: what is wrong with one is told as JSON-RPC has it."""
    message: JSONRPCRequest | JSONRPCNotification | None = None
    try:
        body = await parse_message(await request.body())
        message = read_message(body)
        connection = _connection(request.headers, body)
    except Rejected as rejected:
        request.state.code = rejected.code
        request_id = message.id if isinstance(message, JSONRPCRequest) else None
        return _json(error_message(request_id, rejected.error), _status(rejected.error.code, LEAST_REFUSAL))
    if isinstance(message, JSONRPCNotification):
        _heed(request, message, in_flight)
        return Response(status_code=202)
    return await _serve(request, message, Exchange(server, connection, request, message, in_flight))


def _connection(headers: Headers, body: Json) -> Connection:
    """The era that the headers speak for: requests of 2026 bring all that a handshake settled before. Raises Rejected."""
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
    if (name := find_duplicated_routing_header(headers.items())) is not None:
        raise Rejected(ErrorData(code=HEADER_MISMATCH, message=f"{name} header appears more than once"))
    if version in HANDSHAKE_PROTOCOL_VERSIONS:
        _check_routing(headers, body)
        return Connection.from_envelope(version, None, None)
    if "id" not in body:
        return Connection.from_envelope(version, None, None)
    verdict = classify_inbound_request(body, headers=dict(headers))
    if isinstance(verdict, InboundLadderRejection):
        raise Rejected(ErrorData(code=verdict.code, message=verdict.message, data=verdict.data))
    return Connection.from_envelope(
        verdict.protocol_version, verdict.client_info, verdict.client_capabilities
    )


def _check_routing(headers: Headers, body: Json) -> None:
    """No client of the handshake era sends these headers, but several workers choose by them who answers. Raises
    Rejected."""
    method, name = headers.get(MCP_METHOD_HEADER), headers.get(MCP_NAME_HEADER)
    if method is None and name is None:
        return
    parameters = body.get("params")
    member = NAME_BEARING_METHODS.get(body["method"], "")
    meant = parameters.get(member) if isinstance(parameters, dict) else None
    if method != body["method"] or decode_header_value(name) != meant:
        raise Rejected(
            ErrorData(code=HEADER_MISMATCH, message=f"{MCP_METHOD_HEADER} or {MCP_NAME_HEADER} differs")
        )


def _heed(request: Request, message: JSONRPCNotification, in_flight: InFlight) -> None:
    """Of what clients notify of, one thing matters here."""
    if message.method == "notifications/cancelled":
        request_id = cancelled_request_id_from_params(message.params)
        if request_id is not None:
            in_flight.cancel(request, request_id)


async def _serve(request: Request, message: JSONRPCRequest, exchange: Exchange) -> Response:
    is_told = exchange.progress_token is not None and EVENTS in request.headers.get("accept", "")
    request.state.is_told = is_told
    if not is_told:
        return _reply(request, message, await while_connected(request, exchange.response()))
    messages = exchange.messages()
    first = await while_connected(request, _next(messages))
    if is_response(first):
        return _reply(request, message, first)
    drain = Drain()
    return stream_drained(_frames(request, exchange, first, messages, drain), drain)


async def _next(messages: AsyncGenerator[Json, None]) -> Json:
    return await anext(messages)


async def _frames(
    request: Request, exchange: Exchange, first: Json, messages: AsyncGenerator[Json, None], drain: Drain
) -> AsyncIterator[bytes]:
    async with aclosing(messages):
        message = first
        yield _frame(message)
        while not is_response(message):
            following = await drain.next_of(messages)
            message = _farewell(request, exchange) if following is None else following
            yield _frame(message)


def _frame(message: Json) -> bytes:
    """Without an id: a stream that broke off cannot be taken up again, and no client shall try."""
    return b"event: message\r\ndata: %s\r\n\r\n" % one_line(encode_message(message))


def _farewell(request: Request, exchange: Exchange) -> Json:
    log.warning("answer broke off", extra={"code": Unavailable.code})
    request.state.stopwatch.outcome = Unavailable.code
    body = error_body(stopped(), request.state.request_id)
    error = ErrorData(code=INTERNAL_ERROR, message=body["error"]["message"], data=body)
    return error_message(exchange.request_id, error)


def _reply(request: Request, message: JSONRPCRequest, response: Json) -> Response:
    """The handshake gives a session, and its era answers errors with 200."""
    is_handshake = request.headers.get(MCP_PROTOCOL_VERSION_HEADER, "") in ("", *HANDSHAKE_PROTOCOL_VERSIONS)
    headers = {SESSION_HEADER: uuid.uuid4().hex} if message.method == "initialize" else None
    error = response.get("error")
    if error is None:
        return _json(response, 200, headers)
    if not hasattr(request.state, "code"):
        request.state.code = (InternalError if error["code"] == INTERNAL_ERROR else InvalidRequest).code
    return _json(response, 200 if is_handshake else _status(error["code"], 200))


def _status(code: int, otherwise: int) -> int:
    return ERROR_CODE_HTTP_STATUS.get(code, otherwise)


def _json(message: Json, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encode_message(message), status, headers, media_type="application/json")
