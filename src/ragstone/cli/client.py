"""One way to reach the API: over HTTP where a server owns the data directory, else in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragstone.auth.local_key import find_local_key
from ragstone.client import AsyncRagstone
from ragstone.config.settings import Settings
from ragstone.core.errors import DataDirectoryInUse
from ragstone.storage.data_directory import owner_of

LEAST_TIMEOUT_S = 120.0  # of a reply; longer where the server may take longer


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[AsyncRagstone]:
    """Talk to the server that owns the data directory, or open the directory here. Raises DataDirectoryInUse where
    its owner is not a server."""
    owner = owner_of(settings.data_dir)
    if owner is None:
        async with _in_process(settings) as client:
            yield client
    elif owner.url is None:
        raise DataDirectoryInUse(f"the data directory {settings.data_dir} is in use by {owner}")
    else:
        async with client_of(owner.url, find_local_key(settings.data_dir), settings) as client:
            yield client


def client_of(url: str, key: str | None, settings: Settings) -> AsyncRagstone:
    """Talks to the server at this address, and says at once that it does not answer."""
    timeout_s = max(LEAST_TIMEOUT_S, settings.request_timeout.total_seconds() + 10)
    return AsyncRagstone(url, api_key=key, timeout_s=timeout_s, max_retries=0)


@asynccontextmanager
async def _in_process(settings: Settings) -> AsyncIterator[AsyncRagstone]:
    from ragstone.api.main import create_app
    from ragstone.bootstrap import build_container
    from ragstone.cli.transport import StreamingASGITransport

    async with build_container(settings) as container:
        transport = StreamingASGITransport(create_app(settings, container))
        key = find_local_key(settings.data_dir)
        async with AsyncRagstone(
            "http://127.0.0.1", api_key=key, max_retries=0, transport=transport
        ) as client:
            yield client
