"""Running the server: taking its port, announcing where it listens, ending in order."""

import asyncio
import signal
import socket
import time
from types import FrameType
from typing import Any, cast
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from ragstone.api.main import create_app
from ragstone.auth.local_key import local_key_path
from ragstone.bootstrap import Container, build_container
from ragstone.cli.acceptance import Acceptor
from ragstone.cli.address import bind, greet, listen, url_of
from ragstone.cli.connections import PatientProtocol
from ragstone.config.settings import OPENAI, Settings
from ragstone.core.hosts import is_loopback
from ragstone.core.logs import configure_logging
from ragstone.middleware.admission import OpenRequests

DRAIN_S = 29.5  # open requests may take so long to end after SIGTERM
FAREWELL_S = 3  # then connections have so long to close
LINGER_S = 1.0  # an idle server still answers for so long: a load balancer must see that it is not ready
POLL_S = 0.05


class Server(uvicorn.Server):
    """uvicorn on a socket that is bound, telling the data directory its address, and readiness that it is on its way
    out. It goes on listening until what it has begun is finished. A socket that is `shared` has other servers on it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        container: Container,
        *,
        requests: OpenRequests,
        listening: socket.socket,
        told: str,
        shared: bool = False,
    ):
        super().__init__(config)
        self.told = told
        self._container = container
        self._requests = requests
        self._listening = listening
        self._is_shared = shared
        self._lingers = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, and say so."""
        await super().startup(sockets)
        if self.should_exit:
            return
        acceptor = Acceptor(self._listening, self._new_protocol, is_shared=self._is_shared)
        self.servers.append(cast(asyncio.Server, acceptor))
        acceptor.start()
        self.tell()

    def tell(self) -> None:
        """That it listens, and where."""
        url = url_of(self._listening)
        self._container.directory.announce(url, command="ragstone serve")
        greet(url, self.told)

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
        now = time.monotonic()
        linger_until, give_up_at = now + (LINGER_S if self._lingers else 0.0), now + DRAIN_S + LINGER_S
        while not self.force_exit:
            now = time.monotonic()
            is_busy = bool(self.server_state.tasks) and now < give_up_at
            if not is_busy and now >= linger_until:
                break
            await asyncio.sleep(POLL_S)
        await super().shutdown(sockets)

    def _new_protocol(self) -> PatientProtocol:
        return PatientProtocol(self.config, self.server_state, self.lifespan.state)


async def run_server(settings: Settings, *, reindex: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; `reindex` as `build_container` has it. Raises StartupError kinds."""
    configure_logging(**settings.log_options())
    with bind(settings) as bound:  # before anything is opened, and listening once everything is
        async with build_container(settings, reindex=reindex) as container:
            await serve_container(settings, container, bound)


async def serve_container(settings: Settings, container: Container, bound: socket.socket) -> None:
    """Serve what is already open, on a socket that is bound."""
    app = create_app(settings, container)
    listen(bound, settings)
    server = Server(
        server_config(app),
        container,
        requests=app.state.open_requests,
        listening=bound,
        told=tell_callers(settings),
    )
    await server.serve(sockets=[])


def server_config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """How uvicorn serves us, whatever it listens on."""
    return uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=FAREWELL_S,
        **more,
    )


def tell_callers(settings: Settings) -> str:
    """What is good to know before the first request: who gets to read what, and where a key is found."""
    return f"{tell_receivers(settings)}{_tell_key(settings)}"


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
        if _embeds_elsewhere(settings) or _keeps_elsewhere(settings)
        else "Questions and the passages that answer them"
    )
    return f"{sent} are sent to: {', '.join(elsewhere)}."


def _embeds_elsewhere(settings: Settings) -> bool:
    if settings.embedding_provider == "minilm":
        return False
    url = settings.embedding_base_url or settings.openai_base_url or OPENAI
    return not is_loopback(urlsplit(url).hostname or "")


def _keeps_elsewhere(settings: Settings) -> bool:
    return settings.qdrant_url is not None and not is_loopback(urlsplit(settings.qdrant_url).hostname or "")
