"""The web page at `/`: a few files of this package and no others, under a policy that lets nothing else in."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Header, Response

from ragstone.core.errors import RouteNotFound

router = APIRouter(include_in_schema=False)

START = "index.html"
MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
SCRIPTS = (
    *("main", "api", "sse", "dom", "text", "dialogs", "collections", "documents", "uploads"),
    *("conversation", "answer", "findings", "markdown", "passage"),
)
FILES = ("style.css", "icon.svg", *(f"{name}.js" for name in SCRIPTS))
PATHS = frozenset({"/", *(f"/page/{name}" for name in FILES)})
"""Open to all: there is no data in them."""

# Scripts and styles come as files from here only; the page makes no element from text, which the last one enforces.
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "connect", "img")),
        *(f"{where} 'none'" for where in ("base-uri", "form-action", "frame-ancestors")),
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Cache-Control": "no-cache",  # asked after each time: page and API are of one version
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Known = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("/")
async def start(known: Known = None) -> Response:
    """The page itself."""
    return _reply(START, known)


@router.get("/page/{name}")
async def part(name: str, known: Known = None) -> Response:
    """A script, the style sheet or the icon. Raises RouteNotFound."""
    if name not in FILES:
        raise RouteNotFound("there is no such path")
    return _reply(name, known)


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    headers: dict[str, str]


@cache
def _file(name: str) -> _File:
    """Read once: a few kilobytes of the package."""
    content = (resources.files("ragstone.api") / "page" / name).read_bytes()
    kind = MEDIA_TYPES[name.rpartition(".")[2]]
    headers = {
        **HEADERS,
        "Content-Type": f"{kind}; charset=utf-8",
        "ETag": f'"{sha256(content).hexdigest()[:32]}"',
    }
    return _File(content, headers)


def _reply(name: str, known: str | None) -> Response:
    file = _file(name)
    tags = {tag.strip().removeprefix("W/") for tag in (known or "").split(",")}
    if file.headers["ETag"] in tags:
        return Response(status_code=304, headers=file.headers)
    return Response(file.content, headers=file.headers)
