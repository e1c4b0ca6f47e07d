"""Running the server: listening on loopback, announcing where, ending in order."""

import os
import socket
from types import FrameType
from urllib.parse import urlsplit

import typer
import uvicorn

from ragstone.api.main import create_app
from ragstone.bootstrap import Container, build_container
from ragstone.config.settings import OPENAI, Settings
from ragstone.core.errors import InvalidSetting, StartupError
from ragstone.core.logs import configure_logging
from ragstone.middleware.trust import is_loopback

BACKLOG = 2048  # connections that may wait to be accepted, as uvicorn has it
GRACE_S = 30  # open requests may take this long to end after SIGTERM


class Server(uvicorn.Server):
    """uvicorn, telling the data directory its address, and readiness that it is on its way out."""

    def __init__(self, config: uvicorn.Config, container: Container, *, receivers_told: str):
        super().__init__(config)
        self._container = container
        self._receivers_told = receivers_told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Announce the address once it is bound."""
        await super().startup(sockets)
        if self.should_exit:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._container.directory.announce(url, command="ragstone serve")
        typer.echo(f"Ragstone listens on {url} (documentation: {url}/docs). {self._receivers_told}", err=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not ready at once; a second signal does not wait for open requests. Not re-raised: the exit is in order."""
        self._container.health.is_stopping = True
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


async def run_server(settings: Settings, *, reindex: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; `reindex` as `build_container` has it. Raises StartupError kinds."""
    if not is_loopback(settings.host):
        raise InvalidSetting(
            f"RAGSTONE_HOST={settings.host} is not loopback; without API keys the server listens on loopback only"
        )
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    async with build_container(settings, reindex=reindex) as container:
        await serve_container(settings, container)


async def serve_container(settings: Settings, container: Container) -> None:
    """Serve what is already open."""
    config = uvicorn.Config(
        create_app(settings, container),
        http="httptools",
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    with _listen(settings) as listening:
        await Server(config, container, receivers_told=tell_receivers(settings)).serve(sockets=[listening])


def tell_receivers(settings: Settings) -> str:
    """A sentence on who gets to read what; a model on loopback is this machine."""
    elsewhere = [receiver for receiver in settings.receivers() if not is_loopback(receiver)]
    if not elsewhere:
        return "No text leaves this machine."
    sent = (
        "Documents and questions"
        if _embeds_elsewhere(settings) or _keeps_elsewhere(settings)
        else "Questions and the passages that answer them"
    )
    return f"{sent} are sent to: {', '.join(elsewhere)}"


def _embeds_elsewhere(settings: Settings) -> bool:
    if settings.embedding_provider == "minilm":
        return False
    url = settings.embedding_base_url or settings.openai_base_url or OPENAI
    return not is_loopback(urlsplit(url).hostname or "")


def _keeps_elsewhere(settings: Settings) -> bool:
    return settings.qdrant_url is not None and not is_loopback(urlsplit(settings.qdrant_url).hostname or "")


def _listen(settings: Settings) -> socket.socket:
    """Bound here, since uvicorn would end the process with a log line. Raises StartupError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StartupError(
            f"{settings.host} port {settings.port} cannot be listened on: {reason}; choose another --port"
        ) from error
