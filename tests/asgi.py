"""One request to an ASGI application, byte for byte: for headers and bodies that no HTTP client would send."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

HeaderList = Sequence[tuple[str, str]]
LOCAL: HeaderList = (("host", "127.0.0.1"),)


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    pieces_read: int

    @property
    def json(self) -> Any:
        """The body, which must be strict JSON."""
        return json.loads(self.body.decode("utf-8"), parse_constant=_refuse)

    @property
    def code(self) -> str:
        """The code of an error reply."""
        code: str = self.json["error"]["code"]
        return code


async def call(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    *,
    headers: HeaderList = LOCAL,
    body: Sequence[bytes] = (b"",),
    scheme: str = "http",
    server: tuple[str, int | None] | None = ("127.0.0.1", 8000),
) -> Reply:
    """Send the body in these pieces and collect the reply."""
    pieces = iter(enumerate(body, start=1))
    read = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal read
        number, piece = next(pieces, (len(body), None))
        if piece is None:
            return {"type": "http.disconnect"}
        read = number
        return {"type": "http.request", "body": piece, "more_body": number < len(body)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**_scope(method, path, headers, scheme), "server": server}, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    return Reply(
        status=start["status"],
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]},
        body=b"".join(message.get("body", b"") for message in sent),
        pieces_read=read,
    )


def _scope(method: str, path: str, headers: HeaderList, scheme: str) -> dict[str, Any]:
    where, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": where,
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "state": {},
    }


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
