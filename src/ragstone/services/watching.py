"""The vector store on another machine: after it was away, what it holds is compared with the manifest again."""

import logging

from ragstone.core.errors import RagstoneError
from ragstone.core.ports import VectorStore
from ragstone.services.consistency import ConsistencyService
from ragstone.services.recurring import Recurring

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0


class StoreWatch:
    """A server that comes back may have lost its last writes, or be another, empty one. `is_owed`: the check at the
    start could not be made."""

    def __init__(self, store: VectorStore, consistency: ConsistencyService, *, is_owed: bool):
        self._store = store
        self._consistency = consistency
        self._is_owed = is_owed
        self._looking = Recurring("vector store watch", self._look, idle_s=LOOK_EVERY_S, retry_s=LOOK_EVERY_S)

    def start(self) -> None:
        """Begin to look."""
        self._looking.start()

    async def stop(self) -> None:
        """Look no more."""
        await self._looking.stop()

    async def _look(self) -> None:
        if not self._is_owed and not await self._store.is_healthy():
            log.error("vector store is down")
            self._is_owed = True
        if self._is_owed:
            await self._compare()

    async def _compare(self) -> None:
        try:
            found = await self._consistency.repair()
        except RagstoneError as error:
            log.debug("vector store cannot be compared yet", extra={"reason": error.message})
            return
        self._is_owed = False
        log.info("vector store is back", extra={"is_consistent": found.is_consistent})
