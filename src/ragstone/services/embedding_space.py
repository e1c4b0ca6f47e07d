"""What the vectors of a collection were made with, as the manifest remembers it. Secrets are no part of it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson

from ragstone.core.models import Vector
from ragstone.core.ports import Manifest

SERVING = "embedding"
"""The property that names the space of the collection that serves. Writing it switches collections."""
SUCCESSOR = "embedding_successor"
"""The property of the space that is being built beside it; empty where none is."""


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """One embedder, one way to count words, one collection."""

    fingerprint: str
    """The embedder's, a space, the sparse encoder's."""
    provider: str
    options: Mapping[str, Any]
    """What the provider's constructor is given, without its key."""
    dimension: int
    folder: str
    """The collection's, below `vectors`."""
    probes: tuple[str, ...] | None = None
    """Vectors of the probe texts as `pack_probes` makes them; None until the embedder answered once."""

    @property
    def embedder_fingerprint(self) -> str:
        """The first part; the second one has no space in it."""
        return self.fingerprint.rpartition(" ")[0]

    @property
    def sparse_fingerprint(self) -> str:
        """The second part."""
        return self.fingerprint.rpartition(" ")[2]


async def read_space(manifest: Manifest, key: str) -> EmbeddingSpace | None:
    """The space under SERVING or SUCCESSOR."""
    stored = await manifest.get_property(key)
    if not stored:
        return None
    fields = orjson.loads(stored)
    probes = fields["probes"]
    return EmbeddingSpace(**{**fields, "probes": None if probes is None else tuple(probes)})


async def write_space(manifest: Manifest, key: str, space: EmbeddingSpace | None) -> None:
    """One commit."""
    await manifest.set_property(key, "" if space is None else orjson.dumps(asdict(space)).decode())


def pack_probes(vectors: Sequence[Vector]) -> tuple[str, ...]:
    """Base64 of little-endian float32."""
    return tuple(base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii") for vector in vectors)


def unpack_probes(packed: Sequence[str]) -> list[Vector]:
    """The vectors again."""
    return [np.frombuffer(base64.b64decode(each), "<f4").astype(np.float32) for each in packed]
