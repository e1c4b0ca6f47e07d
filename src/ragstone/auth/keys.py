"""API keys: whose key a caller has. Only their hashes are kept."""

import hmac
from collections.abc import Mapping
from hashlib import sha256

LOCAL = "local"
"""The label of the data directory's own key, and of every caller where no key is needed."""


class ApiKeys:
    """The keys in force, by label. Without any, everybody who reaches the server may call."""

    def __init__(self, keys: Mapping[str, str]):
        self._digests = tuple((label, _digest(key)) for label, key in keys.items())

    @property
    def are_required(self) -> bool:
        """Whether a caller needs a key."""
        return bool(self._digests)

    def label_of(self, given: str) -> str | None:
        """Whose key this is, None for nobody's. Takes the same time for every answer."""
        digest, found = _digest(given), None
        for label, known in self._digests:
            if hmac.compare_digest(digest, known):
                found = label
        return found


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "replace")).digest()
