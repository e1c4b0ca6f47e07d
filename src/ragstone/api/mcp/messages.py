"""JSON-RPC messages as they come in a body and go out."""

import asyncio
import json
from typing import Any

import orjson
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCNotification,
    JSONRPCRequest,
    RequestId,
)
from pydantic import ValidationError

from ragstone.api.bodies import parse_json
from ragstone.core.errors import InvalidRequest, MalformedBody

Json = dict[str, Any]
SMALL_BYTES = 256 * 1024  # parsed at once; more would hold the event loop for milliseconds


class Rejected(Exception):
    """A message that goes no further; `code` is Ragstone's word for the log."""

    def __init__(
        self, error: ErrorData, code: str = InvalidRequest.code, request_id: RequestId | None = None
    ):
        super().__init__(error.message)
        self.error = error
        self.code = code
        self.request_id = request_id


async def parse_message(raw: bytes) -> Json:
    """A JSON object. Raises Rejected."""
    try:
        body = parse_json(raw) if len(raw) < SMALL_BYTES else await asyncio.to_thread(parse_json, raw)
    except MalformedBody as error:
        raise Rejected(ErrorData(code=PARSE_ERROR, message=error.message), error.code) from error
    if not isinstance(body, dict):
        raise Rejected(ErrorData(code=INVALID_REQUEST, message="one JSON-RPC message is expected, no batch"))
    return body


def read_message(body: Json) -> JSONRPCRequest | JSONRPCNotification:
    """Responses are none that anybody waits for: no request is ever sent to a client. Raises Rejected."""
    kind = JSONRPCRequest if "id" in body else JSONRPCNotification
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problem = "a JSON-RPC 2.0 request or notification is expected"
        raise Rejected(ErrorData(code=INVALID_REQUEST, message=problem)) from error


def result_message(request_id: RequestId, result: Json) -> Json:
    """The response to a request that was served."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error_message(request_id: RequestId | None, error: ErrorData) -> Json:
    """The response to one that was not."""
    return {"jsonrpc": "2.0", "id": request_id, "error": error.model_dump(mode="json", exclude_none=True)}


def encode_message(message: Json) -> bytes:
    """On one line; what is not whole Unicode becomes a question mark."""
    try:
        return orjson.dumps(message)
    except TypeError:  # an integer over 64 bits or a lone surrogate that the client sent, such as in its id
        return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
