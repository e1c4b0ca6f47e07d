"""A model over the wire that always says the same and costs next to nothing: `python -m bench.scripted_model PORT`.

A whole answer comes at once. A streamed one comes as `POST /_pace` {first_token_s, tokens_per_s, tokens} last said;
`GET /_log` tells, and forgets, what became of the streams. The upstream of ragstone.testing, which knows faults, takes
twice the CPU a token and keeps no time of the first one.
"""

import asyncio
import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice

import uvloop

from ragstone.testing.upstream.answers import TOKEN_CHARACTERS, tokens_of
from ragstone.testing.upstream.wire import DONE, SSE, Reply, choice

SAYS = (
    "It was replaced because of rust, and the crew asked for two more people. [1] Nobody had kept the drawings, which "
    "is why the dimensions were taken once more before the work began. [2] "
)
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {SSE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class Pace:
    """When the tokens of a streamed answer come, and how many."""

    first_token_s: float = 0.2
    tokens_per_s: float = 40.0
    tokens: int = 80


@dataclass(slots=True)
class Log:
    """Of the streams since it was last read: seconds from each request to its first token, in the order of the first
    tokens; how many came to their end, and how many clients left before."""

    first_token_s: list[float] = field(default_factory=list)
    ended: int = 0
    left: int = 0


class Model:
    """Answers whoever connects."""

    def __init__(self) -> None:
        whole = Reply("scripted", ["It was replaced because of rust. [1]"], prompt_tokens=100)
        self._whole = _response(whole.completion([choice(whole.tokens[0], "stop")], 9))
        self._log = Log()
        self._set_pace(Pace())

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests of one connection and answer each."""
        with suppress(EOFError, OSError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, _, rest = head.partition(b"\r\ncontent-length:")
                body = await reader.readexactly(int(rest.partition(b"\r\n")[0] or 0))
                if b'"stream":true' in body:
                    await self._stream(reader, writer)
                else:
                    writer.write(self._control(head, body))
        writer.close()

    def _control(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"post /_pace "):
            self._set_pace(Pace(**json.loads(body)))
            return _response(b"{}")
        if head.startswith(b"get /_log "):
            log, self._log = self._log, Log()
            return _response(json.dumps(asdict(log)).encode())
        return self._whole

    def _set_pace(self, pace: Pace) -> None:
        """The chunks are made here, once."""
        characters = "".join(islice(cycle(SAYS), pace.tokens * TOKEN_CHARACTERS))
        reply = Reply("scripted", tokens_of(characters), prompt_tokens=100, includes_usage=True)
        self._pace = pace
        self._opening = HEAD + _chunk(reply.role_frame())
        self._tokens = [_chunk(reply.token_frame(token)) for token in reply.tokens]
        usage = reply.empty_frame(reply.usage(pace.tokens))
        self._closing = _chunk(reply.finish_frame("stop") + usage + DONE) + b"0\r\n\r\n"

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each token when it is due, however late the one before was. Raises EOFError when the client leaves."""
        started = time.perf_counter()
        due, interval = started + self._pace.first_token_s, 1 / self._pace.tokens_per_s
        tokens, closing, log = self._tokens, self._closing, self._log
        writer.write(self._opening)
        for position, token in enumerate(tokens):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if reader.at_eof() or writer.is_closing():
                self._log.left += 1
                raise EOFError
            writer.write(token)
            if position == 0:
                log.first_token_s.append(time.perf_counter() - started)
            due += interval
        writer.write(closing)
        self._log.ended += 1


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


async def serve(port: int) -> None:
    """Until the process is ended."""
    server = await asyncio.start_server(Model().answer, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
