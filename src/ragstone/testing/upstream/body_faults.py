"""What goes wrong with a reply that is not streamed: the same faults, as far as one body can show them."""

from collections.abc import Awaitable, Callable

from ragstone.testing.upstream.chat import Pace
from ragstone.testing.upstream.faults import Fault
from ragstone.testing.upstream.http import Exchange
from ragstone.testing.upstream.stream_faults import HUGE_TOKEN_CHARACTERS
from ragstone.testing.upstream.whole_faults import error_of, write_padded
from ragstone.testing.upstream.wire import JSON, Reply, choice


def whole_body(reply: Reply) -> bytes:
    """The reply in one piece."""
    return reply.completion([choice("".join(reply.tokens), reply.finish_reason)], len(reply.tokens))


async def send_whole(exchange: Exchange, reply: Reply, pace: Pace) -> None:
    """The body, once its last token is due."""
    for _ in reply.tokens:
        await pace.next_token()
    exchange.send(200, whole_body(reply), JSON)


async def send_with_fault(exchange: Exchange, reply: Reply, pace: Pace, fault: Fault) -> None:
    """The body as the fault spoils it. `no_done` and `json200` spoil none."""
    spoil = _SPOILERS.get(fault.kind)
    if fault.kind == "slow":
        pace = Pace(1 / fault.tokens_per_s, fault.tokens_per_s)
    if spoil is None:
        await send_whole(exchange, reply, pace)
        return
    await pace.next_token()
    await spoil(exchange, reply, fault)


def _begin(exchange: Exchange, reply: Reply, fault: Fault, *, has_length: bool) -> None:
    body = whole_body(reply)
    exchange.open(JSON, length=len(body) if has_length else None)
    if fault.after != 0:
        exchange.write(body[: len(body) // 2])


async def _hang(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    _begin(exchange, reply, fault, has_length=True)
    await exchange.hang()


async def _drop(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    _begin(exchange, reply, fault, has_length=True)
    await exchange.drop()


async def _reset(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    _begin(exchange, reply, fault, has_length=True)
    await exchange.reset()


async def _cut(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    _begin(exchange, reply, fault, has_length=False)
    exchange.end()


async def _malformed(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    body = whole_body(reply)
    is_text = fault.text != "utf8"
    exchange.send(200, body[:-2] if is_text else body.replace(b'"content":"', b'"content":"\xff\xfe'), JSON)


async def _error(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    exchange.send(200, error_of(fault).body(), JSON)


async def _empty_choices(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    exchange.send(200, reply.completion([], 0), JSON)


async def _finish_early(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    said = reply.tokens[: fault.tokens_before(len(reply.tokens))]
    exchange.send(200, reply.completion([choice("".join(said), fault.kind)], len(said)), JSON)


async def _repeat(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    exchange.open(JSON)
    await write_padded(exchange, whole_body(reply), total_bytes=None)


async def _huge(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    await send_huge(exchange, whole_body(reply))


async def send_huge(exchange: Exchange, body: bytes) -> None:
    """A JSON object as the body, on one line of 64 MB."""
    exchange.open(JSON)
    await write_padded(exchange, body)
    exchange.end()


async def _huge_token(exchange: Exchange, reply: Reply, fault: Fault) -> None:
    content = "a" * HUGE_TOKEN_CHARACTERS
    exchange.send(200, reply.completion([choice(content, reply.finish_reason)], 1), JSON)


_SPOILERS: dict[str, Callable[[Exchange, Reply, Fault], Awaitable[None]]] = {
    "hang_mid": _hang,
    "drop_mid": _drop,
    "cut_mid": _cut,
    "reset_mid": _reset,
    "malformed": _malformed,
    "error_event": _error,
    "empty_choices": _empty_choices,
    "content_filter": _finish_early,
    "length": _finish_early,
    "repeat": _repeat,
    "huge": _huge,
    "huge_token": _huge_token,
}
