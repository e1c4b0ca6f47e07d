"""Blocking work off the event loop, and who has the right of way."""

import asyncio
import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_NICENESS = 10


def in_executor(
    executor: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> asyncio.Future[T]:
    """Begun in one of the executor's threads, which knows what it is done for, as with `asyncio.to_thread`."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(executor, lambda: context.run(work, *args, **kwargs))


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `asyncio.to_thread`, but a caller that is cancelled waits for its thread: nothing goes on behind its back."""
    return await _to_its_end(asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs)))


async def in_low_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same at low priority, for work that computes for seconds and lets go of the interpreter's lock."""
    with ThreadPoolExecutor(1, initializer=lower_priority) as executor:
        return await _to_its_end(in_executor(executor, work, *args, **kwargs))


def lower_priority() -> None:
    """Of this thread, for good. On Linux a thread has a priority of its own; elsewhere this would slow the whole
    process, and nothing is done."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    niceness = max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
    with contextlib.suppress(PermissionError):  # a sandbox may forbid it
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


async def _to_its_end(running: asyncio.Future[T]) -> T:
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
