"""Which request is meant by a method and a path, and the fault that the path itself may ask for."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from ragstone.testing.upstream.faults import Fault
from ragstone.testing.upstream.http import Request
from ragstone.testing.upstream.wire import ApiError

ROUTES = {
    "/v1/chat/completions": ("POST", "chat"),
    "/v1/embeddings": ("POST", "embeddings"),
    "/v1/models": ("GET", "models"),
    "/rerank": ("POST", "rerank"),
    "/v1/rerank": ("POST", "rerank"),
    "/v2/rerank": ("POST", "rerank"),
    "/_log": ("GET", "log"),
    "/_script": ("POST", "script"),
}
CONTROLS = ("log", "script")

_FAULTY = re.compile(r"/fault/([^/]+)(/.*)")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path says: the path below a fault's prefix, and that fault as it is spelt."""

    path: str
    spec: str | None = None

    @property
    def route(self) -> str:
        """The route's name; `other` for paths that there are not."""
        return ROUTES.get(self.path, ("", "other"))[1]

    def check_method(self, method: str) -> None:
        """Raises ApiError where there is no such path, or not with this method."""
        if self.path not in ROUTES:
            raise ApiError(404, f"Invalid URL ({method} {self.path})")
        if method != ROUTES[self.path][0]:
            raise ApiError(405, f"Not allowed to {method} on {self.path} (HINT: use {ROUTES[self.path][0]})")

    def fault(self) -> Fault | None:
        """The fault of the prefix, for every request that it can befall. Raises ApiError."""
        if self.spec is None:
            return None
        try:
            fault = Fault.parse(self.spec)
        except ValueError as error:
            raise ApiError(400, str(error), param="fault") from error
        return fault if self.route in fault.routes else None


def target_of(request: Request) -> Target:
    """The query counts for nothing."""
    path = request.path.partition("?")[0]
    faulty = _FAULTY.fullmatch(path)
    return Target(unquote(faulty[2]), unquote(faulty[1])) if faulty else Target(unquote(path))
