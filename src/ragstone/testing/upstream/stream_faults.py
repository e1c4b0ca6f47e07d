"""What goes wrong inside a streamed reply, after as many tokens as the fault says."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, cycle

from ragstone.testing.upstream.chat import ChatStream, Pace
from ragstone.testing.upstream.faults import Fault
from ragstone.testing.upstream.whole_faults import error_of, write_padded
from ragstone.testing.upstream.wire import DONE, event

HUGE_TOKEN_CHARACTERS = 1024 * 1024

Rest = Sequence[str]
"""The tokens that are still to be said."""


async def stream_with_fault(stream: ChatStream, fault: Fault) -> None:
    """Say what comes before the fault, then let it happen."""
    tokens = stream.reply.tokens
    before = fault.tokens_before(len(tokens))
    stream.open()
    await stream.say(tokens[:before])
    await _HAPPENINGS[fault.kind](stream, fault, tokens[before:])


async def _hang(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    await stream.exchange.hang()


async def _drop(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    await stream.exchange.drop()


async def _cut(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    stream.exchange.end()


async def _reset(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    await stream.exchange.reset()


async def _malformed(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    whole = stream.reply.token_frame("?")
    stream.exchange.write(whole.replace(b"?", b"\xff\xfe") if fault.text == "utf8" else whole[:-6] + b"\n\n")
    await _go_on(stream, fault, rest)


async def _error_event(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    stream.exchange.write(event(error_of(fault).body()))
    stream.exchange.end()


async def _no_done(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    stream.finish(stream.reply.finish_reason, is_done=False)


async def _empty_choices(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    for _ in rest:
        await stream.pace.next_token()
        stream.exchange.write(stream.reply.empty_frame())
    stream.exchange.write(DONE)
    stream.exchange.end()


async def _finish_early(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    stream.finish(fault.kind)


async def _slow(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    stream.pace = Pace(1 / fault.tokens_per_s, fault.tokens_per_s)
    await _go_on(stream, fault, rest)


async def _repeat(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    await stream.say(chain(rest, cycle(stream.reply.tokens or ("again ",))))


async def _huge(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    stream.exchange.write(b"data: ")
    await write_padded(stream.exchange, stream.reply.empty_frame().removeprefix(b"data: "))
    await _go_on(stream, fault, rest)


async def _huge_token(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    await stream.say(["a" * HUGE_TOKEN_CHARACTERS])
    await _go_on(stream, fault, rest)


async def _go_on(stream: ChatStream, fault: Fault, rest: Rest) -> None:
    """As if nothing had happened."""
    await stream.say(rest)
    stream.finish(stream.reply.finish_reason)


_HAPPENINGS: dict[str, Callable[[ChatStream, Fault, Rest], Awaitable[None]]] = {
    "hang_mid": _hang,
    "drop_mid": _drop,
    "cut_mid": _cut,
    "reset_mid": _reset,
    "malformed": _malformed,
    "error_event": _error_event,
    "no_done": _no_done,
    "empty_choices": _empty_choices,
    "content_filter": _finish_early,
    "length": _finish_early,
    "slow": _slow,
    "repeat": _repeat,
    "huge": _huge,
    "huge_token": _huge_token,
}
