"""Answers from a server that speaks OpenAI's Chat Completions, be it OpenAI's or one's own."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from ragstone.core.errors import InvalidSetting, UpstreamUnavailable
from ragstone.core.models import Ending, Prompt
from ragstone.vendors.event_stream import read_events
from ragstone.vendors.openai import UPSTREAM_ERRORS, build_client, is_openai, translate
from ragstone.vendors.protocol import DONE, ProtocolViolation, Reply, as_sent, parse_object

SERVICE = "the language model's server"
USAGE_WITHIN_S = 2.0  # after the finish reason: the answer is complete, only its token counts are missing
END_WITHIN_S = 0.05  # after [DONE]: the body's end, so that the connection can be used again


class OpenAILLM:
    """An LLM over Chat Completions, streamed. One attempt a call; `timeout_s` bounds each wait for the server.

    The stream's events are read here, for 22 µs each, and not by the SDK, which takes 200 and calls an answer complete
    that was cut short.
    """

    is_generative = True

    def __init__(
        self, *, api_key: str | None, base_url: str | None, models: Sequence[str], timeout_s: float
    ) -> None:
        """Blocks for a moment: call it off the event loop. Raises InvalidSetting."""
        if not models or not all(models):
            raise InvalidSetting("an OpenAI-compatible server needs the name of a model")
        self.models = tuple(models)
        self._client = build_client(api_key=api_key, base_url=base_url, timeout_s=timeout_s)
        # OpenAI's newer models refuse max_tokens, most other servers know nothing else.
        self._limit_name = "max_completion_tokens" if is_openai(base_url) else "max_tokens"

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
        """See the port. The connection is free again when the Ending comes."""
        if self._client.is_closed():
            raise UpstreamUnavailable("the client of the language model is closed")
        reply = Reply()
        try:
            async with self._ask(prompt) as response, aclosing(_pieces(response, reply)) as pieces:
                async for piece in pieces:
                    yield piece
        except UPSTREAM_ERRORS as error:
            raise translate(error, service=SERVICE, has_begun=reply.has_begun) from None
        yield reply.ending()

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self._client.close()

    def _ask(self, prompt: Prompt) -> Any:
        """All as `extra_body`: checking the types of messages that are strings costs the SDK 0.6 ms a call."""
        body = {
            "messages": as_sent(prompt.messages),
            "stream_options": {"include_usage": True},
            "temperature": prompt.temperature,
            self._limit_name: prompt.max_tokens,
        }
        given = {name: value for name, value in body.items() if value is not None}
        chat: Any = self._client.chat.completions.with_streaming_response
        return chat.create(model=prompt.model or self.models[0], messages=[], stream=True, extra_body=given)


async def _pieces(response: Any, reply: Reply) -> AsyncGenerator[str, None]:
    """The answer's text up to its finish reason; then the usage goes into `reply`."""
    async with aclosing(read_events(response.http_response.aiter_raw())) as events:
        async for event in events:
            if piece := reply.read(_chunk(event)):
                yield piece
            if reply.finish_reason is not None:
                break
        if piece := reply.rest():
            yield piece
        reply.require_end()
        await _read_usage(events, reply)


async def _read_usage(events: AsyncGenerator[bytes, None], reply: Reply) -> None:
    with suppress(*UPSTREAM_ERRORS):  # nothing can go wrong any more with the answer itself
        async with asyncio.timeout(USAGE_WITHIN_S):
            async for event in events:
                if event.strip() == DONE:
                    break
                reply.note_usage(parse_object(event))
        async with asyncio.timeout(END_WITHIN_S):
            async for _ in events:
                pass


def _chunk(event: bytes) -> dict[str, Any]:
    if event.strip() == DONE:
        raise ProtocolViolation("done without a finish reason")
    return parse_object(event)
