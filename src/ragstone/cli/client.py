"""One way to reach the API: over HTTP where a server owns the data directory, else in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from ragstone.auth.local_key import find_local_key
from ragstone.cli.failure import WrongUsage
from ragstone.client import AsyncRagstone
from ragstone.config.settings import Settings
from ragstone.core.errors import DataDirectoryInUse
from ragstone.storage.data_directory import owner_of

LEAST_TIMEOUT_S = 120.0  # of a reply; longer where the server may take longer


@dataclass(frozen=True, slots=True)
class Way:
    """To a server: its address, the key for it, and a transport where it is in this process."""

    url: str
    key: str | None = None
    transport: httpx2.AsyncBaseTransport | None = None


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[AsyncRagstone]:
    """Talk to the server that owns the data directory, or open the directory here. Raises DataDirectoryInUse where
    its owner is not a server."""
    async with open_way(settings) as way, client_of(way, settings) as client:
        yield client


@asynccontextmanager
async def open_way(settings: Settings) -> AsyncIterator[Way]:
    """The same for those who speak HTTP themselves."""
    owner = owner_of(settings.data_dir)
    if owner is None:
        async with _in_process(settings) as way:
            yield way
    elif owner.url is None:
        raise DataDirectoryInUse(f"the data directory {settings.data_dir} is in use by {owner}")
    else:
        yield Way(owner.url, find_local_key(settings.data_dir))


def client_of(way: Way, settings: Settings) -> AsyncRagstone:
    """Says at once that a server does not answer."""
    return AsyncRagstone(
        way.url, api_key=way.key, timeout_s=_timeout_s(settings), max_retries=0, transport=way.transport
    )


def http_of(way: Way, settings: Settings) -> httpx2.AsyncClient:
    """For those who speak HTTP themselves. A server without keys does not look at the header."""
    return httpx2.AsyncClient(
        base_url=way.url,
        timeout=_timeout_s(settings),
        trust_env=False,
        headers={} if way.key is None else {"Authorization": f"Bearer {way.key}"},
        transport=way.transport,
    )


def key_for(settings: Settings, url: str, key_file: Path | None) -> str | None:
    """For the server at this address: the key in the file, else that of the data directory, which goes to no server
    but its own. Raises WrongUsage."""
    if key_file is None:
        owner = owner_of(settings.data_dir)
        return find_local_key(settings.data_dir) if owner is not None and owner.url == url else None
    try:
        return key_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"no API key can be read from {key_file}") from error


def _timeout_s(settings: Settings) -> float:
    return max(LEAST_TIMEOUT_S, settings.request_timeout.total_seconds() + 10)


@asynccontextmanager
async def _in_process(settings: Settings) -> AsyncIterator[Way]:
    from ragstone.api.main import create_app
    from ragstone.bootstrap import build_container
    from ragstone.cli.transport import StreamingASGITransport

    async with build_container(settings) as container:
        transport = StreamingASGITransport(create_app(settings, container))
        yield Way("http://127.0.0.1", find_local_key(settings.data_dir), transport)
