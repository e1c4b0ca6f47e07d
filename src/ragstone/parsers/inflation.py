"""Counts what comes out of a container, so that a small file cannot become a large one."""

from ragstone.core.errors import UnsafeArchive
from ragstone.parsers.bounds import MOST_CHILDREN, Limits

_FREE_BYTES = 16 * 2**20  # may come out of next to nothing: small files compress well
_MOST_RATIO = 100  # beyond that; office documents have 3 to 30


class Inflation:
    """Of one container and of all that are nested in it."""

    def __init__(self, compressed_bytes: int, limits: Limits):
        self._compressed_bytes = compressed_bytes
        self._most = min(limits.inflated_bytes, max(_FREE_BYTES, _MOST_RATIO * compressed_bytes))
        self._bytes = 0
        self._files = 0

    def add_bytes(self, count: int) -> None:
        """That many were inflated. Raises UnsafeArchive."""
        self._bytes += count
        if self._bytes > self._most:
            raise UnsafeArchive(
                f"the archive of {self._compressed_bytes} bytes inflates to more than {self._most}"
            )

    def add_file(self) -> None:
        """One more was found. Raises UnsafeArchive."""
        self._files += 1
        if self._files > MOST_CHILDREN:
            raise UnsafeArchive(f"the archive and those inside it hold more than {MOST_CHILDREN} files")
