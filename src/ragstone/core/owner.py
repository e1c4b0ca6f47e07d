"""A process and the one that started it: what the owner says over a pipe, and his death, whatever its kind."""

import os
import select
from collections.abc import Iterator

_POLL_S = 1.0
_PIECE_BYTES = 4096


def words_of_owner(descriptor: int, owner: int) -> Iterator[bytes]:
    """What the owner writes, piece by piece, until he is dead: the pipe has ended, or, should somebody else hold the
    pipe's other end too, the parent is another than `owner`. Blocks."""
    while True:
        readable, _, _ = select.select([descriptor], [], [], _POLL_S)
        said = os.read(descriptor, _PIECE_BYTES) if readable else None
        if said:
            yield said
        elif said == b"" or os.getppid() != owner:
            return
