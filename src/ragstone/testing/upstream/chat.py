"""POST /chat/completions: what is asked, and the reply, streamed or whole, when nothing goes wrong."""

import asyncio
from collections.abc import Iterable
from typing import Any

from ragstone.testing.upstream.answers import Spoken, compose, count_tokens, tokens_of
from ragstone.testing.upstream.http import Exchange
from ragstone.testing.upstream.wire import DONE, SSE, ApiError, Reply

_BREATH = 64  # tokens that are said without pause before others have their turn


class Pace:
    """When each token is due, by the clock: a late one does not delay those after it. A rate of None knows no wait."""

    def __init__(self, first_token_s: float, tokens_per_s: float | None):
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + first_token_s
        self._interval = 1 / tokens_per_s if tokens_per_s else 0.0
        self._said = 0

    async def next_token(self) -> None:
        """Wait until the next token is due."""
        delay = self._due - self._loop.time()
        self._due += self._interval
        self._said += 1
        if delay > 0:
            await asyncio.sleep(delay)
        elif self._said % _BREATH == 0:
            await asyncio.sleep(0)


class ChatStream:
    """A streamed reply: opened, said and finished, each as often as a fault wants it."""

    def __init__(self, exchange: Exchange, reply: Reply, pace: Pace):
        self.exchange = exchange
        self.reply = reply
        self.pace = pace
        self._said = 0

    def open(self) -> None:
        """The headers and the chunk with the role, which come before the first token is known."""
        self.exchange.open(SSE, headers={"cache-control": "no-cache"})
        self.exchange.write(self.reply.role_frame())

    async def say(self, tokens: Iterable[str]) -> None:
        """One chunk for each token, when it is due."""
        for token in tokens:
            await self.pace.next_token()
            self.exchange.write(self.reply.token_frame(token))
            self._said += 1
            await self.exchange.drain()

    def finish(self, reason: str, *, is_done: bool = True) -> None:
        """The reason, the usage if it was asked for, the last line, and the end of the body."""
        self.exchange.write(self.reply.finish_frame(reason))
        if self.reply.includes_usage:
            self.exchange.write(self.reply.empty_frame(self.reply.usage(self._said)))
        if is_done:
            self.exchange.write(DONE)
        self.exchange.end()


def reply_to(body: dict[str, Any], say: str | None) -> Reply:
    """What the model will say. Raises ApiError."""
    messages = _messages(body)
    tokens = tokens_of(compose(messages) if say is None else say)
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    is_cut = isinstance(most, int) and 0 < most < len(tokens)
    options = body.get("stream_options")
    return Reply(
        model=model_of(body),
        tokens=tokens[:most] if is_cut else tokens,
        prompt_tokens=sum(count_tokens(text) for _, text in messages),
        finish_reason="length" if is_cut else "stop",
        includes_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def model_of(body: dict[str, Any]) -> str:
    """The model that is asked for, whatever its name. Raises ApiError."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise ApiError(400, "you must provide a model parameter", param="model")
    return model


def _messages(body: dict[str, Any]) -> list[Spoken]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "'messages' is a list with at least one message", param="messages")
    if not all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages):
        raise ApiError(400, "each of 'messages' is an object with a role", param="messages")
    return [(message["role"], _text_of(message.get("content"))) for message in messages]


def _text_of(content: Any) -> str:
    """Content is a text or a list of parts; parts that are no text count for nothing."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))
