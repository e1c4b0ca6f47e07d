"""What ranking reads of chunks, remembered: a chunk never changes, and the good ones are looked at again and again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from ragstone.core.models import Scope
from ragstone.core.ports import VectorStore
from ragstone.pipelines.features import Packed, decode

MOST_BYTES = 16 << 20  # some 8,000 chunks
FORGET_S = 300.0


class FeatureCache:
    """Features of one store's points by id, which is that of one chunk of one version. All is forgotten by the
    first reading five minutes after the last time; what was deleted is never asked for again."""

    def __init__(
        self, store: VectorStore, *, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.monotonic
    ):
        self._store = store
        self._most_bytes = most_bytes
        self._clock = clock
        self._known: OrderedDict[tuple[Scope, str], Packed] = OrderedDict()
        self._bytes = 0
        self._since = clock()

    async def read(self, scope: Scope, ids: Sequence[str]) -> dict[str, Packed]:
        """Of these points, without those that are gone. Raises EngineUnavailable."""
        if self._clock() - self._since > FORGET_S:
            self._known.clear()
            self._bytes = 0
            self._since = self._clock()
        found: dict[str, Packed] = {}
        for id_ in ids:
            if (known := self._known.get((scope, id_))) is not None:
                self._known.move_to_end((scope, id_))
                found[id_] = known
        unknown = [id_ for id_ in ids if id_ not in found]
        for id_, packed in (await self._store.read_features(scope, unknown)).items() if unknown else ():
            found[id_] = decode(packed)
            if (scope, id_) not in self._known:  # others may have read it meanwhile
                self._known[scope, id_] = found[id_]
                self._bytes += found[id_].bytes
        while self._bytes > self._most_bytes:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= oldest.bytes
        return found
