"""A loopback server that says what a test tells it to, byte for byte, and hangs up: for clients that wait in a thread as
well as for those that await."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

RESET = None
"""Instead of a reply: the connection is torn down once the request was read."""


@dataclass(frozen=True)
class Hang:
    """The beginning of a reply, and then nothing until the client leaves."""

    beginning: bytes


Said: TypeAlias = "bytes | Hang | None"


def reply(status: int, body: Any = None, **headers: str) -> bytes:
    """A whole reply with JSON; `retry_after="1"` becomes `Retry-After: 1`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Scripted", f"content-length: {len(content)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + content


def refusal(status: int, code: str, *, retryable: bool, **headers: str) -> bytes:
    """An error in the API's shape."""
    error = {"code": code, "message": "scripted", "retryable": retryable, "request_id": "r", "details": []}
    return reply(status, {"error": error}, **headers)


class ScriptedHttp:
    """Gives one reply after the other, the last one for ever, and keeps what it was sent."""

    def __init__(self, listening: socket.socket, replies: list[Said]):
        self._listening = listening
        self._replies = replies
        self.requests: list[bytes] = []
        self.clients_left = 0
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def headers(self, name: str) -> list[str]:
        """This header of each request, without those that had none."""
        lines = b"\r\n".join(self.requests).decode("latin-1").split("\r\n")
        return [value for key, _, value in (line.partition(": ") for line in lines) if key.lower() == name]

    def serve(self) -> None:
        """Until the socket is closed."""
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        self.requests.append(_request(connection))
        said = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if said is RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif isinstance(said, Hang):
            connection.sendall(said.beginning)
            connection.recv(1)
            self.clients_left += 1
        else:
            connection.sendall(said)


@contextmanager
def scripted_http(*replies: Said) -> Iterator[ScriptedHttp]:
    """A server for the length of a block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = ScriptedHttp(listening, list(replies))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5.0)


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line]
    missing = sum(lengths) - len(body)
    while missing > 0:
        piece = connection.recv(65_536)
        received, missing = received + piece, missing - len(piece)
    return received
