"""Reads float32 tensors of a safetensors file: where they lie, and their values. Reads nothing before it is asked to."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A float32 tensor in row-major order at `offset` bytes from the start of the file."""

    path: Path
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """Its size in the file."""
        return math.prod(self.shape) * np.dtype(np.float32).itemsize

    def read(self) -> NDArray[np.float32]:
        """A copy of its values: freed with its last reference, unlike the pages of a mapping."""
        count = math.prod(self.shape)
        return np.fromfile(self.path, np.float32, count, offset=self.offset).reshape(self.shape)


class SafetensorsFile:
    """The float32 tensors of one file by name."""

    def __init__(self, tensors: dict[str, StoredTensor]):
        self._tensors = tensors

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the header: its length (u64, little endian), then JSON, then the tensors' bytes."""
        with path.open("rb") as file:
            header, start = _read_header(file)
        tensors = {
            name: StoredTensor(path, tuple(entry["shape"]), start + entry["data_offsets"][0])
            for name, entry in header.items()
            if entry.get("dtype") == "F32"
        }
        return cls(tensors)

    def __getitem__(self, name: str) -> StoredTensor:
        return self._tensors[name]


def _read_header(file: BinaryIO) -> tuple[dict[str, dict[str, Any]], int]:
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    return json.loads(file.read(length)), _LENGTH_BYTES + length
