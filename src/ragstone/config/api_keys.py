"""The API keys of the settings: `label:key`, separated by commas. What is wrong is told without the key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

LEAST_CHARACTERS = 16
RESERVED = "local"  # the key in the data directory
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KEY = re.compile(r"[!-~]+")
_PLACEHOLDER = "changeme"


@dataclass(frozen=True, slots=True)
class ConfiguredKey:
    """A key and the name that logs have for it."""

    label: str
    key: SecretStr


def parse_keys(text: str) -> tuple[ConfiguredKey, ...]:
    """One entry a key; one without a label is called after its place. Raises ValueError."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    keys = tuple(_parse(entry, place) for place, entry in enumerate(entries, start=1))
    _refuse_repeated([key.label for key in keys], "labels")
    _refuse_repeated([key.key.get_secret_value() for key in keys], "keys")
    return keys


def _parse(entry: str, place: int) -> ConfiguredKey:
    label, colon, key = entry.partition(":")
    if not colon:
        label, key = f"key-{place}", entry
    if not _LABEL.fullmatch(label) or label == RESERVED:
        raise ValueError(
            f"entry {place} has no usable label: 1 to 64 letters, digits and _.- before the colon, and not {RESERVED}"
        )
    if not _KEY.fullmatch(key) or len(key) < LEAST_CHARACTERS or _is_placeholder(key):
        raise ValueError(
            f"the key of entry {place} is too weak: at least {LEAST_CHARACTERS} visible ASCII characters are needed; "
            "`openssl rand -hex 32` makes a good one"
        )
    return ConfiguredKey(label, SecretStr(key))


def _is_placeholder(key: str) -> bool:
    return _PLACEHOLDER in re.sub(r"[^a-z]", "", key.lower())


def _refuse_repeated(values: Sequence[str], what: str) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"two {what} are the same")
