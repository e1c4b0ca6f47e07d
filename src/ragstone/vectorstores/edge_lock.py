"""Who owns a directory, and where its engine listens. Runs in the engine's process."""

import contextlib
import fcntl
import json
import os
import socket
import time
from pathlib import Path

from ragstone.core.sockets import FOLDER_PREFIX, private_socket_paths, remove_socket
from ragstone.vectorstores.edge_shard import EngineRefusal
from ragstone.vectorstores.frames import LOCK_FILE

_POLL_S = 0.05
_SOCKET_NAME = "engine.sock"


class DirectoryLock:
    """An advisory lock on `<directory>/lock`, which goes with the process, whatever its death. The file names the
    holder's process and socket."""

    def __init__(self, directory: Path, *, wait_s: float) -> None:
        """Raises EngineRefusal when another process still holds it after `wait_s`."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / LOCK_FILE).open("a+b")
        deadline = time.monotonic() + wait_s
        while not self._try_to_lock():
            if time.monotonic() >= deadline:
                holder = self._holder().get("pid", "unknown")
                self.release()
                raise EngineRefusal(
                    "data_directory_in_use",
                    f"{directory} is held by process {holder}; stop that one, or choose another directory",
                )
            time.sleep(_POLL_S)

    def clear_away_predecessor(self) -> None:
        """Remove the socket of a holder that had no time to."""
        path = Path(str(self._holder().get("socket", "")))
        if path.parent.name.startswith(FOLDER_PREFIX):
            remove_socket(path)

    def publish(self, path: Path) -> None:
        """Name the socket, for those who may share the engine."""
        self._file.truncate(0)
        self._file.write(json.dumps({"pid": os.getpid(), "socket": str(path)}).encode())
        self._file.flush()

    def release(self) -> None:
        """Let the next one in; the end of the process does as much."""
        self._file.close()

    def _holder(self) -> dict[str, object]:
        self._file.seek(0)
        try:
            found = json.loads(self._file.read())
        except ValueError:  # empty, or just being written
            return {}
        return found if isinstance(found, dict) else {}

    def _try_to_lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def listen() -> tuple[socket.socket, Path]:
    """A unix socket in a new folder that only this user may enter. Raises EngineRefusal."""
    for path in private_socket_paths(_SOCKET_NAME):
        with contextlib.suppress(OSError):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
            listener.listen()
            return listener, path
    raise EngineRefusal(
        "startup_failed", "no folder for temporary files: set TMPDIR to a short, writable path"
    )
