"""Several workers on one data directory: this process holds its lock and the address, starts the workers, starts again
those that die, and ends them in order. It serves nothing itself, and what it imports is little."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragstone.cli.address import bind, greet, url_of
from ragstone.cli.assignment import (
    CLOSE,
    LEADER_DOWN,
    LEADER_UP,
    REFUSED,
    SERVING,
    SHAREABLE,
    Assignment,
)
from ragstone.cli.post import Post
from ragstone.config.settings import Settings
from ragstone.core.errors import StartupError
from ragstone.core.logs import configure_logging
from ragstone.core.sockets import private_socket_paths, remove_socket
from ragstone.storage.data_directory import DataDirectory, command_line

DRAIN_LIMIT_S = 35.0  # open requests have 30 s; then whoever is left is killed

log = logging.getLogger(__name__)


async def run_workers(settings: Settings, *, reindex: bool = False) -> None:
    """Serve with `settings.workers` processes until SIGTERM or SIGINT. With `reindex`, and something to index anew, one
    serves until the new index does. Raises StartupError kinds."""
    configure_logging(**settings.log_options())
    directory = DataDirectory.open(settings.data_dir, command=command_line())
    try:
        with bind(settings) as bound, _inside_socket() as inside:
            assignments = [
                Assignment(settings, number, directory.lock, bound.fileno(), str(inside), reindex)
                for number in range(1, settings.workers + 1)
            ]
            await Supervisor(directory, bound, assignments).run()
    finally:
        directory.close()


class Supervisor:
    """Keeps every post filled. The first worker leads; the others start once its engine may be shared."""

    def __init__(self, directory: DataDirectory, bound: socket.socket, assignments: list[Assignment]):
        self._directory = directory
        self._bound = bound
        self._url = url_of(bound)
        self._leader, *self._assistants = (Post(each, self._heard, self._lost) for each in assignments)
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._has_served = False
        self._keepers: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until a signal; then end all in order. Raises what kept the leader from its first start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_end)
        self._keep(self._leader)
        try:
            await self._over
        finally:
            await self._end()

    def _keep(self, post: Post) -> None:
        self._keepers.append(asyncio.create_task(post.keep(), name=f"worker {post.number}"))

    def _told_to_end(self) -> None:
        """A second signal does not wait for open requests."""
        if not self._over.done():
            self._over.set_result(None)
        else:
            self._terminate()

    def _terminate(self) -> None:
        for post in (self._leader, *self._assistants):
            post.terminate()

    async def _end(self) -> None:
        """All refuse new work at once; the leader goes last, since the others may need it."""
        self._bound.close()  # connections are refused once the workers have closed it too
        self._terminate()
        await asyncio.gather(*(post.wait_until_empty(DRAIN_LIMIT_S) for post in self._assistants))
        self._leader.say(CLOSE)
        await self._leader.wait_until_empty(DRAIN_LIMIT_S)
        await asyncio.gather(*self._keepers)

    def _heard(self, post: Post, said: dict[str, Any]) -> None:
        if SERVING in said and post is self._leader:
            self._leader_serves(said[SERVING])
        elif SERVING in said:
            log.info("worker serves", extra={"worker": post.number})
        elif SHAREABLE in said and len(self._keepers) == 1:
            for assistant in self._assistants:
                self._keep(assistant)
        elif REFUSED in said:
            self._refused(post, *said[REFUSED])

    def _leader_serves(self, receivers_told: str) -> None:
        for assistant in self._assistants:
            assistant.say(LEADER_UP)
        if self._has_served:
            log.info("worker serves", extra={"worker": self._leader.number})
            return
        self._has_served = True
        self._directory.announce(self._url, command="ragstone serve")
        greet(self._url, receivers_told)

    def _refused(self, post: Post, code: str, message: str) -> None:
        if self._has_served or self._over.done():
            log.error("worker cannot start", extra={"worker": post.number, "code": code, "reason": message})
        else:
            self._over.set_exception(StartupError(message))

    def _lost(self, post: Post) -> None:
        if post is not self._leader:
            return
        for assistant in self._assistants:
            assistant.say(LEADER_DOWN)
        if not self._has_served and not self._over.done():
            self._over.set_exception(StartupError("the first worker ended before it was ready; see the log"))


@contextmanager
def _inside_socket() -> Iterator[Path]:
    """Where the leader is to answer the others. Raises StartupError."""
    path = next(private_socket_paths("leader.sock"), None)
    if path is None:
        raise StartupError("no folder for temporary files: set TMPDIR to a short, writable path")
    try:
        yield path
    finally:
        remove_socket(path)
