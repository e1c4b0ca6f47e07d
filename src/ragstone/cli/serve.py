"""Running the server: listening on loopback, announcing where, ending in order."""

import socket
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import typer
import uvicorn
from starlette.types import ASGIApp

from ragstone.api.main import create_app
from ragstone.bootstrap import Container, build_container
from ragstone.cli.address import bind, listen, url_of
from ragstone.config.settings import OPENAI, Settings
from ragstone.core.errors import InvalidSetting
from ragstone.core.logs import configure_logging
from ragstone.middleware.trust import is_loopback

GRACE_S = 30  # open requests may take this long to end after SIGTERM


class Server(uvicorn.Server):
    """uvicorn, telling the data directory its address, and readiness that it is on its way out."""

    def __init__(self, config: uvicorn.Config, container: Container, *, receivers_told: str):
        super().__init__(config)
        self._container = container
        self.receivers_told = receivers_told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Announce the address once it is bound."""
        await super().startup(sockets)
        if not self.should_exit:
            self.tell()

    def tell(self) -> None:
        """That it listens, and where."""
        url = url_of(self.servers[0].sockets[0])
        self._container.directory.announce(url, command="ragstone serve")
        typer.echo(f"Ragstone listens on {url} (documentation: {url}/docs). {self.receivers_told}", err=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not ready at once; a second signal does not wait for open requests. Not re-raised: the exit is in order."""
        self._container.health.is_stopping = True
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


async def run_server(settings: Settings, *, reindex: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; `reindex` as `build_container` has it. Raises StartupError kinds."""
    require_loopback(settings)
    configure_logging(
        level=settings.log_level, log_format=settings.log_format, secrets=settings.secret_values()
    )
    async with build_container(settings, reindex=reindex) as container:
        await serve_container(settings, container)


def require_loopback(settings: Settings) -> None:
    """Raises InvalidSetting."""
    if not is_loopback(settings.host):
        raise InvalidSetting(
            f"RAGSTONE_HOST={settings.host} is not loopback; without API keys the server listens on loopback only"
        )


def server_config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """How uvicorn serves us, whatever it listens on."""
    return uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE_S,
        **more,
    )


async def serve_container(settings: Settings, container: Container) -> None:
    """Serve what is already open."""
    config = server_config(create_app(settings, container))
    with bind(settings) as listening:
        listen(listening, settings)
        await Server(config, container, receivers_told=tell_receivers(settings)).serve(sockets=[listening])


def tell_receivers(settings: Settings) -> str:
    """A sentence on who gets to read what; a model on loopback is this machine."""
    elsewhere = [receiver for receiver in settings.receivers() if not is_loopback(receiver)]
    if not elsewhere:
        return "No text leaves this machine."
    sent = (
        "Documents and questions"
        if _embeds_elsewhere(settings)
        else "Questions and the passages that answer them"
    )
    return f"{sent} are sent to: {', '.join(elsewhere)}"


def _embeds_elsewhere(settings: Settings) -> bool:
    if settings.embedding_provider == "minilm":
        return False
    url = settings.embedding_base_url or settings.openai_base_url or OPENAI
    return not is_loopback(urlsplit(url).hostname or "")
