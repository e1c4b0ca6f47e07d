"""What travels between the store and its engine: msgpack behind a length. Vectors go as raw little-endian bytes.

A request is `[number, operation, *arguments]`, a reply `[number, True, result]` or `[number, False, [code, message]]`.
"""

import struct
from typing import Any

import msgpack

CREATED_AT = "created_at"
"""The number that both sides know by name: it has an index from the start."""

CLOSE = b"close\n"
"""What an owner writes to its engine's standard input for an orderly end."""

LOCK_FILE = "lock"
"""In a collection's folder: JSON with the `pid` of the engine that holds it, and the `socket` where it listens."""

Condition = list[Any]
"""A filter on the wire: ["any", tokens], ["range", number key, operator, number, token], ["and" | "or", parts],
["not", part]."""

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Far above any batch of ours: a longer one means that the stream is out of step."""

_LENGTH = struct.Struct("<I")


def number_field(key: str) -> str:
    """Where a point keeps the numbers of this key (see `fields.number_key`)."""
    return f"numbers.{key}"


def number_keys(condition: Condition) -> dict[str, bytes]:
    """The numbers whose order the condition asks for, each with the token of the points that have them."""
    match condition:
        case ["range", key, _, _, token]:
            return {key: token}
        case ["not", part]:
            return number_keys(part)
        case ["and" | "or", parts]:
            return {key: token for part in parts for key, token in number_keys(part).items()}
    return {}


class BrokenStream(ConnectionError):
    """What came in is no frame of ours."""


def pack(message: object) -> bytes:
    """One frame, ready to be written."""
    body = msgpack.packb(message)
    return _LENGTH.pack(len(body)) + bytes(body)


class FrameReader:
    """Cuts a byte stream into messages; keeps what is incomplete for the next piece."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[Any]:
        """The messages that `piece` completes. Raises BrokenStream."""
        self._buffer += piece
        messages, start = [], 0
        while (end := self._end_of_frame(start)) is not None:
            messages.append(_unpack(self._buffer[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return messages

    def _end_of_frame(self, start: int) -> int | None:
        if len(self._buffer) - start < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, start)
        if length > MAX_FRAME_BYTES:
            raise BrokenStream(f"a frame of {length} bytes")
        end = start + _LENGTH.size + int(length)
        return end if end <= len(self._buffer) else None


def _unpack(body: bytearray) -> Any:
    try:
        return msgpack.unpackb(body)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise BrokenStream("a frame that is not msgpack") from error
