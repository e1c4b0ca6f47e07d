"""Streamed answers that are asked for in the same moment, and what they took."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.answer_stream import AnswerStream, open_streams
from bench.server import Server

WAVE_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Wave:
    """Streams that were asked for in the same moment. CPU is of the server's processes: from the first request on, and
    from the moment in which every stream had its first token."""

    streams: Sequence[AnswerStream]
    seconds: float
    cpu_s: float
    streaming_cpu_s: float
    streaming_tokens: int

    @property
    def errors(self) -> int:
        """Answers that did not come, or not whole."""
        return sum(not stream.is_whole for stream in self.streams)

    @property
    def per_second(self) -> float:
        """Whole answers."""
        return (len(self.streams) - self.errors) / self.seconds

    @property
    def tokens(self) -> int:
        """Of all streams."""
        return sum(len(stream.token_times) for stream in self.streams)

    @property
    def first_ms(self) -> list[float]:
        """First tokens, of those that have one."""
        return [stream.first_token_s * 1000 for stream in self.streams if stream.token_times]

    @property
    def gaps_ms(self) -> list[float]:
        """Between tokens of the same stream."""
        return [gap * 1000 for stream in self.streams for gap in stream.gaps_s]


async def run_wave(server: Server, requests: Sequence[bytes]) -> Wave:
    """All requests at once, over connections that are open. Raises TimeoutError."""
    streams = await open_streams(server.port, len(requests))
    cpu_s, started = server.cpu_s(), time.perf_counter()
    for stream, request in zip(streams, requests, strict=True):
        stream.ask(request)
    async with asyncio.timeout(WAVE_LIMIT_S):
        await asyncio.gather(*(stream.begun for stream in streams))
        begun_cpu_s, begun_tokens = server.cpu_s(), sum(len(stream.token_times) for stream in streams)
        await asyncio.gather(*(stream.ended for stream in streams))
    seconds, end_cpu_s = time.perf_counter() - started, server.cpu_s()
    tokens = sum(len(stream.token_times) for stream in streams)
    return Wave(streams, seconds, end_cpu_s - cpu_s, end_cpu_s - begun_cpu_s, tokens - begun_tokens)
