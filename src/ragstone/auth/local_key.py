"""The key that lies in the data directory: whoever may read that folder may call."""

import logging
import os
import secrets
import tempfile
from pathlib import Path

from ragstone.core.errors import StartupError
from ragstone.core.files import sync

log = logging.getLogger(__name__)

KEY_FILE = "api-key"
KEY_BYTES = 32


def local_key_path(folder: Path) -> Path:
    """Where the key of a data directory lies."""
    return folder / KEY_FILE


def find_local_key(folder: Path) -> str | None:
    """The key of a data directory; None where it has none, or none that this user may read."""
    try:
        return local_key_path(folder).read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def ensure_local_key(folder: Path) -> str:
    """The key of a data directory, made at the first call (mode 0600); processes that begin together agree on one.
    Raises StartupError where the file cannot be read or written."""
    path = local_key_path(folder)
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise StartupError(f"no API key can be written to {path}: {error.strerror}") from error
    key = find_local_key(folder)
    if key is None:
        raise StartupError(
            f"the API key in {path} cannot be read; remove the file, and a start makes a new one"
        )
    return key


def _make(path: Path) -> None:
    """Whole or not at all: linked under its name once it is on disk."""
    descriptor, name = tempfile.mkstemp(prefix=".api-key-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_urlsafe(KEY_BYTES)}\n")
        sync(Path(name))
        os.link(name, path)
        sync(path.parent)
        log.warning("api key generated", extra={"path": str(path)})
    except FileExistsError:  # another process was quicker, and its key counts
        return
    finally:
        Path(name).unlink()
