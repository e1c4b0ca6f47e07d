"""Server-sent events from bytes as they arrive, in pieces of any size. Lines are split as bytes, before anything is
decoded, so that a character that two pieces share needs no care."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

MAX_EVENT_BYTES = 2 * 1024 * 1024
"""Of one line, and of all data lines of one event. Servers send less than a kilobyte; a token of a megabyte still comes
through, for whoever limits the answer's length to cut it."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """A line or an event is over its limit."""


async def read_events(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The data of each event, lines joined; an event that the end cuts off is told too. Closes `parts` when it is
    closed. Raises EventTooLarge, and what `parts` raises."""
    lines, event = _Lines(), _Event()
    async with aclosing(parts):
        async for part in parts:
            if lines.is_between and event.is_between and (whole := _only_event(part)) is not None:
                yield whole
                continue
            for line in lines.feed(part):
                if (told := event.feed(line)) is not None:
                    yield told
    for line in (lines.rest(), b""):
        if (told := event.feed(line)) is not None:
            yield told


def _only_event(part: bytes) -> bytes | None:
    """The data, where the part is one event of one line and nothing else, as most are: a fifth of the work."""
    if part[:6] == b"data: " and part[-2:] == b"\n\n" and b"\r" not in part and part.count(b"\n") == 2:
        return part[6:-2] if len(part) <= MAX_EVENT_BYTES else None
    return None


class _Lines:
    """Splits at LF, CR and CRLF."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._ended_with_cr = False
        self._is_first = True

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins a line that is not the first."""
        return not (self._begun or self._ended_with_cr or self._is_first)

    def feed(self, part: bytes) -> list[bytes]:
        """The lines that this part completes, without their ends."""
        if self._ended_with_cr and part:
            part = part.removeprefix(b"\n")
            self._ended_with_cr = False
        if part.endswith(b"\r"):
            self._ended_with_cr = True
        self._begun += part
        if b"\n" not in part and b"\r" not in part:
            self._check_size()
            return []
        lines = bytes(self._begun).splitlines(keepends=True)
        self._begun.clear()
        if not lines[-1].endswith((b"\n", b"\r")):
            self._begun += lines.pop()
            self._check_size()
        return [self._content(line) for line in lines]

    def rest(self) -> bytes:
        """What no line end has completed."""
        return self._content(bytes(self._begun))

    def _content(self, line: bytes) -> bytes:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        return line.rstrip(b"\r\n")

    def _check_size(self) -> None:
        if len(self._begun) > MAX_EVENT_BYTES:
            raise EventTooLarge


class _Event:
    """Gathers the `data` lines up to an empty line; comments and all other fields are skipped."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def is_between(self) -> bool:
        """Whether the next line begins an event."""
        return not self._lines

    def feed(self, line: bytes) -> bytes | None:
        """The event's data, when this line ends one that has any."""
        if not line:
            return self._end()
        name, _, value = line.partition(b":")
        if name == b"data":
            self._size += len(value)
            if self._size > MAX_EVENT_BYTES:
                raise EventTooLarge
            self._lines.append(value.removeprefix(b" "))
        return None

    def _end(self) -> bytes | None:
        if not self._lines:
            return None
        data = b"\n".join(self._lines)
        self._lines, self._size = [], 0
        return data
