"""Waiting for a condition, without a guess at how long it takes."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 60.0


async def until(holds: Callable[[], Awaitable[bool]], *, every_s: float = 0.01) -> None:
    """Return as soon as it holds; fail after a minute."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - it depends on other tasks and processes
            await asyncio.sleep(every_s)
