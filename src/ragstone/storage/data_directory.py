"""The data directory: what lies where in it. It has one owner at a time; its lock file says who, and where to reach him."""

import fcntl
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ragstone.core.errors import DataDirectoryInUse, StartupError

LOCK_FILE = "ragstone.lock"
MANIFEST_FILE = "manifest.db"
BLOBS_FOLDER = "blobs"
VECTORS_FOLDER = "vectors"

REMAINS_WAIT_S = 10.0
"""So long a dead owner's workers may take to notice."""
_REMAINS_POLL_S = 0.02


def vectors_path(folder: Path, name: str) -> Path:
    """Where the physical collection of this name lies, in a data directory or a backup of one."""
    return folder / VECTORS_FOLDER / name


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a data directory; `url` only where a server does."""

    pid: int
    command: str
    url: str | None

    def __str__(self) -> str:
        serving = f", serving {self.url}" if self.url else ""
        return f"'{self.command}' (process {self.pid}{serving})"


class DataDirectory:
    """The held directory. The lock goes with the process, however it ends, and with the workers that it handed it to."""

    def __init__(self, path: Path, lock: int):
        """`lock` is the descriptor of the lock file, which this or the parent process holds."""
        self.path = path
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path, *, command: str) -> Self:
        """Create it if need be (mode 0700) and hold it. Raises DataDirectoryInUse, naming the first owner."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartupError(f"the data directory {path} cannot be used: {error.strerror}") from error
        if not _take(lock, path):
            os.close(lock)
            raise DataDirectoryInUse(f"the data directory {path} is in use by {_read(path)}")
        directory = cls(path, lock)
        directory._write(Owner(os.getpid(), command, None))
        return directory

    @property
    def lock(self) -> int:
        """The descriptor that holds the lock: a process that inherits it holds the directory too."""
        assert self._lock is not None
        return self._lock

    def announce(self, url: str, *, command: str) -> None:
        """Let other processes of this user find the server."""
        self._write(Owner(os.getpid(), command, url))

    def close(self) -> None:
        """Let go; idempotent."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def _write(self, owner: Owner) -> None:
        assert self._lock is not None
        content = json.dumps(asdict(owner)).encode()
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, content, 0)


def owner_of(path: Path) -> Owner | None:
    """Who holds the directory now; None if nobody does."""
    try:
        lock = os.open(path / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # not there, or not readable: opening it says so in a sentence
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path)
    finally:
        os.close(lock)
    return None


def command_line() -> str:
    """How this process was started, as another user would recognise it."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])


def _take(lock: int, path: Path) -> bool:
    """Whether nobody holds it. Where its owner is dead, only workers of his do, which are just ending."""
    give_up_at = time.monotonic() + REMAINS_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at or _is_alive(_read(path).pid):
                return False
            time.sleep(_REMAINS_POLL_S)
        else:
            return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _read(path: Path) -> Owner:
    try:
        return Owner(**json.loads((path / LOCK_FILE).read_text()))
    except (ValueError, TypeError, OSError):
        return Owner(0, "a process that is just starting or ending", None)
