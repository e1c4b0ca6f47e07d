"""Who calls: every path but a few needs an API key, where there are keys at all."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ragstone.auth.keys import LOCAL, ApiKeys
from ragstone.core.errors import Unauthorized
from ragstone.middleware.errors import refuse

OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/docs", "/openapi.json"})
KEY_HEADER = "X-API-Key"
SCHEME = "bearer "


class AuthMiddleware:
    """401 without a known key, before anything else is looked at, but for `open_paths`, spelled exactly so. Tells the
    rest who calls: `principal` in `scope["state"]` is the label of the key; on open paths it may be missing.
    """

    def __init__(
        self, app: ASGIApp, *, keys: Callable[[], ApiKeys], open_paths: AbstractSet[str] = OPEN_PATHS
    ):
        self._app = app
        self._keys = keys
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        keys = self._keys()
        given = given_key(Headers(scope=scope)) if keys.are_required else None
        principal = LOCAL if not keys.are_required else None if given is None else keys.label_of(given)
        if principal is not None:
            scope.setdefault("state", {})["principal"] = principal
        elif scope["path"] not in self._open_paths:
            await refuse(scope, receive, send, _unauthorized(given))
            return
        await self._app(scope, receive, send)


def given_key(headers: Headers) -> str | None:
    """The key that a request carries, of two ways the first that is there. Two values of one header are no key."""
    authorization = headers.getlist("authorization")
    if len(authorization) == 1 and authorization[0].lower().startswith(SCHEME):
        return authorization[0][len(SCHEME) :].strip()
    keys = headers.getlist(KEY_HEADER)
    return keys[0] if len(keys) == 1 else None


def _unauthorized(given: str | None) -> Unauthorized:
    if given is None:
        return Unauthorized("an API key is needed here: send the header Authorization: Bearer KEY")
    return Unauthorized("this API key is not known")
