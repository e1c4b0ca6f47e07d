"""What is kept of a point, the same in every engine: its payload, and vectors as raw little-endian bytes when it moves."""

from array import array
from collections.abc import Mapping
from typing import Any

Row = tuple[str, str, list[Any]]
"""A point that moves from one engine to another: tenant, scope key, and what `Engine.upsert` takes of it."""

FEATURES = "features"
"""The member of a payload that is kept and read apart."""

_TOKEN_DIGITS = 32


def to_payload(
    fixed: Mapping[str, Any],
    version: str | None,
    tokens: bytes,
    numbers: dict[str, list[float]],
    body: str,
    features: str,
) -> dict[str, Any]:
    """What is kept besides the vectors. `fixed` is the part that all points of a batch share: tenant and scope."""
    digits = tokens.hex()
    return {
        **fixed,
        "document_version": version,
        "tokens": [digits[start : start + _TOKEN_DIGITS] for start in range(0, len(digits), _TOKEN_DIGITS)],
        "numbers": numbers,
        "body": body,
        FEATURES: features,
    }


def from_payload(payload: Mapping[str, Any]) -> tuple[str, str, list[Any]]:
    """Tenant, scope, and what `to_payload` was given besides."""
    kept = [
        payload.get("document_version"),
        bytes.fromhex("".join(payload["tokens"])),
        payload["numbers"],
        payload["body"],
        payload.get(FEATURES, ""),
    ]
    return payload["tenant_id"], payload["scope"], kept


def floats(packed: bytes) -> list[float]:
    """Raw float32 as numbers."""
    return array("f", packed).tolist()


def integers(packed: bytes) -> list[int]:
    """Raw uint32 as numbers."""
    return array("I", packed).tolist()


def pack_floats(numbers: list[float]) -> bytes:
    """Numbers as raw float32."""
    return array("f", numbers).tobytes()


def pack_integers(numbers: list[int]) -> bytes:
    """Numbers as raw uint32."""
    return array("I", numbers).tobytes()
