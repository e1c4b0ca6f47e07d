"""Unix sockets that only this user can reach."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

FOLDER_PREFIX = "ragstone-"
_MAX_PATH_BYTES = 103  # the system's limit: 107 on Linux, 103 on macOS


def private_socket_paths(name: str) -> Iterator[Path]:
    """Where a socket may be bound, the best place first: each in a new folder that only this user may enter."""
    for base in (os.environ.get("TMPDIR"), "/tmp"):  # noqa: S108 - the folder made in it is ours alone
        path = Path(base or "/tmp", f"{FOLDER_PREFIX}{os.urandom(6).hex()}", name)  # noqa: S108
        if len(os.fsencode(path)) > _MAX_PATH_BYTES:
            continue
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700)
            yield path


def remove_socket(path: Path) -> None:
    """The socket and its folder; both may be gone already."""
    with contextlib.suppress(OSError):
        path.unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()
