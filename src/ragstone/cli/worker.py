"""One of several workers of `ragstone serve`, in a process of its own: `python -m ragstone.cli.worker <number>`, started
by `cli.supervisor`. The first one leads: it starts the engine, repairs, ingests, purges and makes every change. The
others share its engine, answer what only reads, and pass the rest on to it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from ragstone.api.main import create_app
from ragstone.bootstrap import Container, build_container, build_reading_container
from ragstone.cli.address import adopt, listen
from ragstone.cli.assignment import (
    CLOSE,
    LEADER_UP,
    REFUSED,
    SERVING,
    SHAREABLE,
    Assignment,
    read_assignment,
)
from ragstone.cli.serve import Server, server_config, tell_callers
from ragstone.core.errors import RagstoneError
from ragstone.core.logs import configure_logging, label_logs
from ragstone.core.owner import words_of_owner
from ragstone.core.sockets import remove_socket
from ragstone.middleware.admission import OpenRequests
from ragstone.middleware.metrics import LabelledMetrics
from ragstone.middleware.passing_on import Leader, PassingOnMiddleware
from ragstone.storage.data_directory import DataDirectory

REINDEX_POLL_S = 0.5

Announce = Callable[..., None]


def main() -> int:
    """A worker's whole life; returns the exit code. What its terminal says is meant for the supervisor."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    announcements = os.dup(1)
    os.dup2(2, 1)  # whatever a library may print is no announcement

    def announce(**said: object) -> None:
        os.write(announcements, json.dumps(said).encode() + b"\n")

    assignment = read_assignment(0)
    settings = assignment.settings
    configure_logging(**settings.log_options())
    label_logs(assignment.number)
    try:
        uvloop.run(_work(assignment, announce))
    except RagstoneError as error:
        announce(**{REFUSED: [error.code, error.message]})
        return 1
    return 0


async def _work(assignment: Assignment, announce: Announce) -> None:
    orders = _Orders(Leader(assignment.inside))
    _listen_to_owner(assignment, orders)
    directory = DataDirectory(assignment.settings.data_dir, assignment.directory_lock)
    if assignment.is_leader:
        await _lead(assignment, directory, announce, orders.may_close)
    else:
        await _assist(assignment, directory, announce, orders.leader)


async def _lead(
    assignment: Assignment, directory: DataDirectory, announce: Announce, may_close: asyncio.Event
) -> None:
    settings = assignment.settings
    async with build_container(settings, reindex=assignment.reindex, directory=directory) as container:
        app = _app(assignment, container)
        sharing = asyncio.create_task(_announce_shareable(container, announce))
        async with _answering_inside(app, assignment.inside):
            await _serve(app, app.state.open_requests, container, assignment, announce)
            await may_close.wait()  # what the others have begun may need us
        sharing.cancel()


async def _assist(
    assignment: Assignment, directory: DataDirectory, announce: Announce, leader: Leader
) -> None:
    async with build_reading_container(
        assignment.settings, directory=directory, ingestion=leader
    ) as container:
        app = _app(assignment, container)
        passing_on = PassingOnMiddleware(app, leader)
        await _serve(passing_on, app.state.open_requests, container, assignment, announce)


def _app(assignment: Assignment, container: Container) -> FastAPI:
    app = create_app(assignment.settings, container)
    app.state.registry = LabelledMetrics(app.state.registry, "worker", str(assignment.number))
    return app


async def _serve(
    app: ASGIApp, requests: OpenRequests, container: Container, assignment: Assignment, announce: Announce
) -> None:
    """Until SIGTERM, and until open requests have ended."""
    listening = adopt(assignment.listening)
    listen(listening, assignment.settings)
    server = _PublicServer(
        announce,
        server_config(app),
        container,
        requests=requests,
        listening=listening,
        told=tell_callers(assignment.settings),
        shared=True,
    )
    signal.signal(signal.SIGTERM, server.handle_exit)  # as before and after uvicorn listens to it
    await server.serve(sockets=[])


class _PublicServer(Server):
    def __init__(self, announce: Announce, config: uvicorn.Config, container: Container, **parts: Any):
        super().__init__(config, container, **parts)
        self._announce = announce

    def tell(self) -> None:
        """The supervisor tells the others."""
        self._announce(**{SERVING: self.told})


class _InsideServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The public one does."""
        yield


@contextlib.asynccontextmanager
async def _answering_inside(app: ASGIApp, path: str) -> AsyncIterator[None]:
    """For the other workers, whom we believe what they say of their clients."""
    Path(path).parent.mkdir(mode=0o700, exist_ok=True)  # those who clear /tmp know nothing of us
    server = _InsideServer(server_config(app, uds=path, lifespan="off", forwarded_allow_ips="*"))
    serving = asyncio.create_task(server.serve(), name="inside")
    try:
        while not (server.started or serving.done()):
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving


async def _announce_shareable(container: Container, announce: Announce) -> None:
    """Once the collection that serves is the one that will go on serving."""
    while container.reindexing is not None and container.reindexing.progress is not None:
        await asyncio.sleep(REINDEX_POLL_S)
    announce(**{SHAREABLE: True})


class _Orders:
    """What the supervisor says, and what follows from it."""

    def __init__(self, leader: Leader):
        self.leader = leader
        self.may_close = asyncio.Event()

    def heed(self, word: bytes) -> None:
        """Do as one word says."""
        if word == CLOSE:
            self.may_close.set()
        else:
            self.leader.is_alive = word == LEADER_UP


def _listen_to_owner(assignment: Assignment, orders: _Orders) -> None:
    """In a thread. When he dies we die too: at once, as if killed. No acknowledged write is lost."""
    loop = asyncio.get_running_loop()

    def listen_and_die(owner: int) -> None:
        rest = b""
        for said in words_of_owner(0, owner):
            *lines, rest = (rest + said).split(b"\n")
            with contextlib.suppress(RuntimeError):  # the loop has ended already, and so do we
                for line in lines:
                    loop.call_soon_threadsafe(orders.heed, line)
        if assignment.is_leader:
            remove_socket(Path(assignment.inside))
        os._exit(1)

    threading.Thread(target=listen_and_die, args=(os.getppid(),), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
