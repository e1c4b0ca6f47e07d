"""Running the server: taking its port, announcing where it listens, ending in order."""

import asyncio
import os
import signal
import socket
import time
from types import FrameType
from urllib.parse import urlsplit

import typer
import uvicorn

from ragstone.api.main import create_app
from ragstone.auth.local_key import local_key_path
from ragstone.bootstrap import Container, build_container
from ragstone.cli.connections import Acceptor, PatientProtocol
from ragstone.config.settings import OPENAI, Settings
from ragstone.core.errors import StartupError
from ragstone.core.hosts import is_loopback
from ragstone.core.logs import configure_logging
from ragstone.middleware.admission import OpenRequests

BACKLOG = 2048  # connections that may wait to be accepted, as uvicorn has it
DRAIN_S = 29.5  # open requests may take so long to end after SIGTERM
FAREWELL_S = 3  # then connections have so long to close
LINGER_S = 1.0  # an idle server still answers for so long: a load balancer must see that it is not ready
POLL_S = 0.05
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where such a server is reached from here


class Server(uvicorn.Server):
    """uvicorn, telling the data directory its address, and readiness that it is on its way out. It goes on listening
    until what it has begun is finished."""

    def __init__(self, config: uvicorn.Config, container: Container, *, requests: OpenRequests, told: str):
        super().__init__(config)
        self._container = container
        self._requests = requests
        self._told = told
        self._lingers = False
        self._acceptor: Acceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Announce the address once it is bound."""
        await super().startup(sockets)
        if self.should_exit:
            return
        assert sockets is not None
        self._acceptor = Acceptor(sockets[0], self._new_protocol)
        address, port = self.servers[0].sockets[0].getsockname()[:2]
        host = ANYWHERE.get(address, address)
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._container.directory.announce(url, command="ragstone serve")
        typer.echo(f"Ragstone listens on {url} (documentation: {url}/docs). {self._told}", err=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not ready at once; a second signal does not wait for open requests. Not re-raised: the exit is in order."""
        self._container.health.is_stopping = True
        self._lingers = sig == signal.SIGTERM
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain first: readiness and new work are answered with 503 meanwhile."""
        self._requests.end_within(DRAIN_S)
        linger_until = time.monotonic() + (LINGER_S if self._lingers else 0.0)
        while (self._requests.count or time.monotonic() < linger_until) and not self.force_exit:
            await asyncio.sleep(POLL_S)
        if self._acceptor is not None:
            self._acceptor.close()
        await super().shutdown(sockets)

    def _new_protocol(self) -> PatientProtocol:
        return PatientProtocol(self.config, self.server_state, self.lifespan.state)


async def run_server(settings: Settings, *, reindex: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; `reindex` as `build_container` has it. Raises StartupError kinds."""
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    with bound_socket(settings) as taken:  # before anything is opened, and listening once everything is
        async with build_container(settings, reindex=reindex) as container:
            await serve_container(settings, container, taken)


async def serve_container(settings: Settings, container: Container, taken: socket.socket) -> None:
    """Serve what is already open, on a socket that is bound."""
    app = create_app(settings, container)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        log_config=None,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=FAREWELL_S,
    )
    told = f"{tell_receivers(settings)}{_tell_key(settings)}"
    server = Server(config, container, requests=app.state.open_requests, told=told)
    await server.serve(sockets=[taken])


def _tell_key(settings: Settings) -> str:
    """Where a caller finds a key; what it is stays there."""
    if not settings.needs_keys:
        return ""
    configured = ", ".join(key.label for key in settings.api_keys)
    return (
        f" Callers need an API key: {f'one of {configured}, or ' if configured else ''}the one in "
        f"{local_key_path(settings.data_dir)}"
    )


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


def bound_socket(settings: Settings) -> socket.socket:
    """The port is ours, though nobody is let in yet; here, since uvicorn would end the process with a log line. Raises
    StartupError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((settings.host, settings.port))
    except OSError as error:
        taken.close()
        reason = os.strerror(error.errno or 0)
        raise StartupError(
            f"{settings.host} port {settings.port} cannot be listened on: {reason}; choose another --port"
        ) from error
    return taken
