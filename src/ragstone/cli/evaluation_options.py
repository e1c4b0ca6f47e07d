"""What `eval` is told: with what the second run differs, and where a server is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ragstone.cli.failure import WrongUsage


@dataclass(frozen=True, slots=True)
class Change:
    """What the second run has instead: request parameters, a server, or all of it from the report of an earlier run."""

    parameters: Mapping[str, Any]
    url: str | None = None
    report: Path | None = None


def read_change(given: Sequence[str]) -> Change | None:
    """None where nothing is to be compared. Raises WrongUsage."""
    if not given:
        return None
    changes: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or name not in _READERS:
            raise WrongUsage(f"--compare {pair!r}: key=value is expected, with one of {', '.join(_READERS)}")
        if name in changes:
            raise WrongUsage(f"--compare {name} is given twice")
        try:
            changes[name] = _READERS[name](value)
        except ValueError as error:
            raise WrongUsage(f"--compare {pair!r}: {error}") from error
    url, report = changes.pop("url", None), changes.pop("report", None)
    if report is not None and (changes or url):
        raise WrongUsage(
            "--compare report=… brings its own configuration; nothing else can be changed beside it"
        )
    return Change(changes, url, report)


def checked_url(value: str) -> str:
    """Without a slash at its end. Raises WrongUsage."""
    try:
        return _url(value)
    except ValueError as error:
        raise WrongUsage(f"--url {value!r}: {error}") from error


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("a URL such as http://127.0.0.1:8000 is expected")
    if parts.username is not None:
        raise ValueError("a URL without user and password is expected; a key comes with --key-file")
    return value.rstrip("/")


def _one_of(*known: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in known:
            raise ValueError(f"one of {', '.join(known)} is expected")
        return value

    return read


def _top_k(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 100):
        raise ValueError("a number from 1 to 100 is expected")
    return int(value)


def _name(value: str) -> str:
    if not value:
        raise ValueError("a name is expected")
    return value


def _file(value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


_READERS: Mapping[str, Callable[[str], Any]] = {
    "mode": _one_of("hybrid", "dense", "sparse"),
    "top_k": _top_k,
    "collection": _name,
    "provider": _name,
    "model": _name,
    "url": _url,
    "report": _file,
}
