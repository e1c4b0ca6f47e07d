"""What a supervisor and its workers say to each other. The supervisor writes to a worker's standard input: first the
assignment, then words, one a line; its end of file means that the supervisor is dead. The worker announces itself on standard
output, one line of JSON each."""

import os
import pickle
import struct
from dataclasses import dataclass

from ragstone.config.settings import Settings

LEADER_UP = b"leader up"
LEADER_DOWN = b"leader down"
CLOSE = b"close"
"""To a leader that was told to end: the others have ended, so nobody needs it any more."""

SERVING = "serving"
"""Announced with a sentence on who gets to read what."""
SHAREABLE = "shareable"
"""Announced by the leader once other workers may share its engine."""
REFUSED = "refused"
"""Announced with an error's code and message by a worker that cannot start."""

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker is told at its start; the settings are the supervisor's, whatever `.env` says by now."""

    settings: Settings
    number: int
    """The first one leads."""
    directory_lock: int
    """The descriptor that holds the data directory's lock."""
    listening: int
    """The descriptor of the socket that all workers accept from."""
    inside: str
    """The unix socket at which the leader answers the others."""
    reindex: bool

    @property
    def is_leader(self) -> bool:
        """Whether it is the one that works."""
        return self.number == 1


def pack_assignment(assignment: Assignment) -> bytes:
    """As `read_assignment` reads it: between parent and child of one installation."""
    packed = pickle.dumps(assignment)
    return _LENGTH.pack(len(packed)) + packed


def read_assignment(descriptor: int) -> Assignment:
    """The first that the parent writes. Raises EOFError where it died before."""
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size))
    assignment = pickle.loads(_read(descriptor, length))  # noqa: S301 - from our parent, over a pipe of ours
    assert isinstance(assignment, Assignment)
    return assignment


def _read(descriptor: int, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = os.read(descriptor, size - len(pieces))
        if not piece:
            raise EOFError
        pieces += piece
    return bytes(pieces)
