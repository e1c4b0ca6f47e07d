"""A way to an engine that another process of this user has started and restarts; its lock file names its socket."""

import asyncio
import contextlib
import json
from pathlib import Path

from ragstone.core.errors import EngineUnavailable
from ragstone.vectorstores.edge_link import HANG_LIMIT_S, RECONNECT_WAIT_S, LastingLink
from ragstone.vectorstores.frames import LOCK_FILE

START_WAIT_S = 60.0  # its process may just be starting again on a busy machine
_RETRY_S = 0.05


class SharedLink(LastingLink):
    """Calls of somebody else's engine, once it is started."""

    def __init__(
        self,
        directory: Path,
        *,
        hang_limit_s: float = HANG_LIMIT_S,
        reconnect_wait_s: float = RECONNECT_WAIT_S,
    ) -> None:
        super().__init__(hang_limit_s=hang_limit_s, reconnect_wait_s=reconnect_wait_s)
        self._directory = directory

    async def start(self) -> None:
        """Connect, as soon as the engine listens. Raises EngineUnavailable when it does not within a minute."""
        self._keeper = asyncio.create_task(self._keep_connected())
        try:
            await self._wait_until_up(START_WAIT_S)
        except EngineUnavailable:
            await self.close()
            raise

    async def _keep_connected(self) -> None:
        while True:
            await self._reach()
            await self._wait_for_loss()

    async def _reach(self) -> None:
        """Until it listens: the file may still name the one that died."""
        while not self._is_up.is_set():
            with contextlib.suppress(OSError):
                await self._connect(_published_socket(self._directory))
                self._is_up.set()
                return
            await asyncio.sleep(_RETRY_S)


def _published_socket(directory: Path) -> str:
    """Where the engine of this directory listens, or its predecessor did. Raises OSError where none is named."""
    try:
        return str(json.loads((directory / LOCK_FILE).read_text())["socket"])
    except (ValueError, KeyError, TypeError) as error:  # empty, or just being written
        raise FileNotFoundError(f"no socket is named in {directory / LOCK_FILE}") from error
