"""Failures to replies: one handler a kind of exception, all in the one shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from ragstone.api.schemas.error import ErrorReply
from ragstone.core.errors import (
    BodyTimeout,
    InvalidRequest,
    MalformedBody,
    MethodNotAllowed,
    PayloadTooLarge,
    RagstoneError,
    RouteNotFound,
    UnsupportedMediaType,
)
from ragstone.middleware.errors import MAX_DETAILS, error_response
from ragstone.middleware.metrics import METHODS

MAX_DETAIL_TEXT = 200
_BRANCHES = ("function-", "list[", "constrained-")  # of a union, as pydantic names them: nobody's business

_BY_STATUS: dict[int, tuple[type[RagstoneError], str]] = {
    400: (MalformedBody, "the body cannot be parsed"),
    404: (RouteNotFound, "there is no such path"),
    408: (BodyTimeout, "the body took too long to arrive"),
    405: (MethodNotAllowed, "this path does not know this method"),
    413: (PayloadTooLarge, "the body is larger than is accepted here"),
    415: (UnsupportedMediaType, "this content type is not accepted here"),
}


def install_error_handlers(app: FastAPI) -> None:
    """Every failure that reaches FastAPI leaves in our shape."""
    app.add_exception_handler(RagstoneError, _ragstone_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_left)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses answer with the error shape."""
    return {status: {"model": ErrorReply, "description": MEANINGS[status]} for status in statuses}


MEANINGS = {
    400: "The body cannot be parsed.",
    401: "An API key is needed, or it is not known.",
    403: "This Host or Origin may not call.",
    404: "Missing, or not yours.",
    408: "The body took too long to arrive.",
    409: "The state does not allow it.",
    413: "The body is too large.",
    415: "The type is not supported.",
    422: "Parsed, but not valid.",
    429: "The queue is full; see Retry-After.",
    502: "A service that is needed refused, or answered what cannot be read.",
    503: "A part is down or full; see Retry-After.",
    504: "The time is up.",
}


async def _ragstone_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RagstoneError)
    return error_response(error, request.scope)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return error_response(MalformedBody("the body is not JSON"), request.scope)
    return error_response(invalid_request(problems), request.scope)


def invalid_request(problems: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """From what pydantic found; `loc` says in which part of the request."""
    details = [_detail(problem) for problem in problems[:MAX_DETAILS]]
    return InvalidRequest("the request is not valid", details=details)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind, message = _BY_STATUS.get(error.status_code, (InvalidRequest, "the request is not valid"))
    response = error_response(kind(message), request.scope)
    response.headers.update(error.headers or {})
    if kind is MethodNotAllowed:
        response.headers["Allow"] = ", ".join(_allowed_methods(request))
    return response


def _allowed_methods(request: Request) -> list[str]:
    """All that the path knows; the router names those of the first route that it finds."""
    scopes = {method: {**request.scope, "method": method} for method in sorted(METHODS)}
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


async def _client_left(request: Request, error: Exception) -> Response:
    """Nobody reads the reply, but a client that leaves is no defect of ours."""
    return error_response(MalformedBody("the client left before its body had ended"), request.scope)


def _detail(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Place, type and message; never the input, whose echo is what breaks replies."""
    told = [part for part in problem["loc"] if not str(part).startswith(_BRANCHES)]
    place = [part if isinstance(part, int) else str(part)[:MAX_DETAIL_TEXT] for part in told]
    return {"loc": place, "type": problem["type"], "msg": str(problem["msg"])[:MAX_DETAIL_TEXT]}
