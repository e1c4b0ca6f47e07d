"""What pages of other sites may do: those of the configured origins everything, with a key where one is needed."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from ragstone.core.context import request_id
from ragstone.core.errors import ForbiddenOrigin
from ragstone.middleware.errors import error_response

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
EXPOSED = ("X-Request-ID", "Server-Timing", "Retry-After", "Mcp-Session-Id")


class CorsMiddleware(CORSMiddleware):
    """Answers preflights, which carry no key, and lets the pages read replies and these of their headers."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str]):
        super().__init__(
            app,
            allow_origins=[origin.lower().rstrip("/") for origin in origins],
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """As Starlette has it, but refused in our shape."""
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        refused = ForbiddenOrigin("this Origin or method is not allowed; origins are named in CORS_ORIGINS")
        return error_response(refused, {"state": {"request_id": request_id.get()}})
