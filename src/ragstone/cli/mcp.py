"""`mcp`: MCP over standard input and output, for clients that start their servers themselves."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2

from ragstone.cli.client import Way, http_of, key_for, open_way
from ragstone.cli.mcp_bridge import Bridge
from ragstone.cli.stdio import StandardStreams
from ragstone.config.settings import Settings
from ragstone.core.errors import DataDirectoryInUse
from ragstone.core.logs import configure_logging
from ragstone.storage.data_directory import owner_of

PATIENCE_S = 10.0  # so long a server may take to say where it listens, or another command to end
POLL_S = 0.1


async def run_mcp(settings: Settings, *, url: str | None, key_file: Path | None) -> None:
    """Until the client closes its side, or a signal. Answers through the server that owns the data directory, or opens
    the directory itself. Raises StartupError kinds, WrongUsage."""
    configure_logging(**settings.log_options())
    streams = StandardStreams()  # before anything that might print
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with _opened(settings, url, key_file) as http:
        bridge = Bridge(http, streams.write, moved=lambda: url or _address(settings))
        bridging = asyncio.create_task(bridge.run(streams.lines()))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({bridging, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (bridging, stopping):
            task.cancel()
        with suppress(asyncio.CancelledError, BrokenPipeError):  # nobody reads any more: as good as an end
            await bridging


@asynccontextmanager
async def _opened(
    settings: Settings, url: str | None, key_file: Path | None
) -> AsyncIterator[httpx2.AsyncClient]:
    if url is not None:
        async with http_of(Way(url, key_for(settings, url, key_file)), settings) as http:
            yield http
        return
    give_up_at = asyncio.get_running_loop().time() + PATIENCE_S
    while (owner := owner_of(settings.data_dir)) is not None and owner.url is None:
        if asyncio.get_running_loop().time() >= give_up_at:
            raise DataDirectoryInUse(
                f"the data directory {settings.data_dir} is in use by {owner}; several clients share it through "
                "`ragstone serve`"
            )
        await asyncio.sleep(POLL_S)
    async with open_way(settings) as way, http_of(way, settings) as http:
        yield http


def _address(settings: Settings) -> str | None:
    """Of the server that has the data directory now."""
    owner = owner_of(settings.data_dir)
    return None if owner is None else owner.url
