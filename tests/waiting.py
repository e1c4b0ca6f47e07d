"""Waiting for a condition, without a guess at how long it takes."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 60.0


async def until(
    holds: Callable[[], Awaitable[bool]], *, every_s: float = 0.01, within_s: float = PATIENCE_S
) -> None:
    """Return as soon as it holds; fail after `within_s`."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - it depends on other tasks and processes
            await asyncio.sleep(every_s)
