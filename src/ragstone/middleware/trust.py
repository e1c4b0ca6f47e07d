"""Who may speak to a server without keys: no other host name (DNS rebinding), no other site's page (form posts)."""

import re
from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ragstone.core.errors import ForbiddenHost, ForbiddenOrigin, RagstoneError
from ragstone.core.hosts import is_loopback
from ragstone.middleware.errors import refuse

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^][:@/?#\\,\s]+))(?::[0-9]{1,5})?", re.I)


class TrustMiddleware:
    """403 where Host is neither loopback nor allowed, or Origin neither the request's own nor allowed. Where callers
    need keys, which no other site's page has, everything passes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str] = (),
        cors_origins: Collection[str] = (),
        are_keys_required: Callable[[], bool] = lambda: False,
    ):
        self._app = app
        self._are_keys_required = are_keys_required
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or refuse it."""
        if scope["type"] == "http" and (error := self._objection(scope)) is not None:
            await refuse(scope, receive, send, error)
            return
        await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> RagstoneError | None:
        if self._are_keys_required():
            return None
        if not _arrived_on_loopback(scope):
            return ForbiddenHost(
                "without API keys the server answers on loopback addresses only; set RAGSTONE_API_KEYS"
            )
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        name = host_name(host)
        if not is_loopback(name) and name not in self._allowed_hosts and host not in self._allowed_hosts:
            return ForbiddenHost("this Host is not allowed; name it in RAGSTONE_ALLOWED_HOSTS")
        origins = [origin.lower() for origin in headers.getlist("origin")]
        own = f"{scope['scheme']}://{host}"
        if not origins or (len(origins) == 1 and (origins[0] == own or origins[0] in self._origins)):
            return None
        return ForbiddenOrigin("pages of this Origin may not call the API; name it in CORS_ORIGINS")


def _arrived_on_loopback(scope: Scope) -> bool:
    """Whether the connection was accepted on a loopback address, a unix socket, or no socket at all."""
    address, port = scope.get("server") or (None, None)
    return port is None or address is None or is_loopback(address)


def host_name(host: str) -> str:
    """The name or address in a Host header, without port and brackets; empty where it is malformed."""
    found = _HOST.fullmatch(host)
    return found[1] or found[2] if found else ""
