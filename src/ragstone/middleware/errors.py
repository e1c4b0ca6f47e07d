"""The one shape of an error reply, for middleware and handlers alike. No text can break it: what is not whole Unicode
becomes a question mark."""

import json
import math
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ragstone.core.errors import InvalidRequest, RagstoneError, Unauthorized

MAX_DETAILS = 20
OPENAI_PREFIX = "/v1/"  # paths of OpenAI's dialect, errors included
SOON_S = 1.0  # where nothing says how long it will take


def error_body(error: RagstoneError, request_id: str | None) -> dict[str, Any]:
    """{"error": {code, message, retryable, request_id, details}}."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "retryable": error.retryable,
            "request_id": request_id,
            "details": list(error.details[:MAX_DETAILS]),
        }
    }


def openai_error_body(error: RagstoneError, request_id: str | None) -> dict[str, Any]:
    """{"error": {message, type, param, code}} as OpenAI has it, with the other members of ours beside them."""
    ours = error_body(error, request_id)["error"]
    first = error.details[0] if error.details else None
    param = ".".join(str(part) for part in first["loc"][1:]) if first else ""
    if first and error.code == InvalidRequest.code:  # the SDK's exception says the message and nothing else
        ours["message"] = f"{error.message}: {param or first['loc'][0]}: {first['msg']}"
    return {"error": {**ours, "type": _openai_type(error.status), "param": param or None}}


def _openai_type(status: int) -> str:
    if status >= 500:
        return "server_error"
    return _OPENAI_TYPES.get(status, "invalid_request_error")


_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_json(error: RagstoneError, request_id: str | None, *, path: str = "") -> bytes:
    """The body of a failure on this path, as it is sent."""
    shaped = openai_error_body if path.startswith(OPENAI_PREFIX) else error_body
    return json.dumps(shaped(error, request_id), ensure_ascii=False).encode("utf-8", "replace")


def error_response(error: RagstoneError, scope: Scope) -> Response:
    """Status, body and headers of a request's failure; its code is noted for the access line."""
    state = scope.setdefault("state", {})
    state["code"] = error.code
    body = error_json(error, state.get("request_id"), path=scope.get("path", ""))
    return Response(body, status_code=error.status, headers=_headers(error), media_type="application/json")


def _headers(error: RagstoneError) -> dict[str, str]:
    challenge = {"WWW-Authenticate": 'Bearer realm="ragstone"'} if error.status == Unauthorized.status else {}
    return {**retry_header(error), **challenge}


def retry_header(error: RagstoneError) -> dict[str, str]:
    """Retry-After in whole seconds, wherever coming back can help."""
    wait_s = error.retry_after_s
    if wait_s is None and error.retryable:
        wait_s = SOON_S
    return {} if wait_s is None else {"Retry-After": str(max(1, math.ceil(wait_s)))}


async def refuse(scope: Scope, receive: Receive, send: Send, error: RagstoneError) -> None:
    """Answer a request that goes no further."""
    await error_response(error, scope)(scope, receive, send)
