"""Writes the part of the ONNX format that our encoder needs, as protobuf bytes. Knows nothing of any model.

Field numbers are those of onnx.proto (IR version 8); the `onnx` package would weigh more than the engine's own wheel.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ragstone.embeddings.safetensors import StoredTensor

Array = NDArray[Any]
Attribute = int | float | Sequence[int]

MICROSOFT = "com.microsoft"
_IR_VERSION = 8
_OPSETS = {"": 17, MICROSOFT: 1}
_DATA_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
_EXTERNAL = 1
_FLOAT, _INT, _INTS = 1, 2, 7


@dataclass(frozen=True, slots=True)
class TensorType:
    """An input or output of the graph; a string in `shape` names a dimension that is known at run time only."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class OnnxWriter:
    """Collects nodes and initializers, then writes the model.

    Tensors are not written into it: the model says in which file they lie (relative to a folder that the session is
    told), or `in_memory` holds them by name, to be handed to the session beside the model.
    """

    def __init__(self) -> None:
        self.in_memory: dict[str, Array] = {}
        self._nodes: list[bytes] = []
        self._initializers: list[bytes] = []

    def initializer(self, name: str, values: Array) -> str:
        """Add a constant tensor that the session is handed; returns its name."""
        self.in_memory[name] = values
        head = _tensor_head(name, values.shape, values.dtype.name)
        self._initializers.append(head + _external({"location": "memory"}))
        return name

    def stored_initializer(self, name: str, tensor: StoredTensor) -> str:
        """Add a constant tensor that the session maps from its file; returns its name."""
        place = {"location": tensor.path.name, "offset": str(tensor.offset), "length": str(tensor.nbytes)}
        self._initializers.append(_tensor_head(name, tensor.shape, "float32") + _external(place))
        return name

    def node(
        self, operator: str, inputs: Sequence[str], *outputs: str, domain: str = "", **attributes: Attribute
    ) -> str:
        """Add an operation; an empty input name is an optional input left out. Returns the first output's name."""
        body = b"".join(_bytes_field(1, name) for name in inputs)
        body += b"".join(_bytes_field(2, name) for name in outputs)
        body += _bytes_field(3, outputs[0]) + _bytes_field(4, operator)
        body += b"".join(_bytes_field(5, _attribute(name, value)) for name, value in attributes.items())
        self._nodes.append(_bytes_field(1, body + _bytes_field(7, domain)))
        return outputs[0]

    def model(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> bytes:
        """The serialised model. Nodes are written in the order they were added, which must be a valid one."""
        graph = (
            b"".join(self._nodes)
            + _bytes_field(2, "graph")
            + b"".join(_bytes_field(5, each) for each in self._initializers)
        )
        graph += b"".join(_bytes_field(11, _value_info(each)) for each in inputs)
        graph += b"".join(_bytes_field(12, _value_info(each)) for each in outputs)
        opsets = (_bytes_field(1, domain) + _varint_field(2, version) for domain, version in _OPSETS.items())
        return (
            _varint_field(1, _IR_VERSION)
            + _bytes_field(2, "ragstone")
            + _bytes_field(7, graph)
            + b"".join(_bytes_field(8, opset) for opset in opsets)
        )


def _varint(value: int) -> bytes:
    rest = value & 0xFFFF_FFFF_FFFF_FFFF  # negative numbers are written as 64-bit two's complement
    written = bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, value: str | bytes) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _tensor_head(name: str, shape: Sequence[int], dtype: str) -> bytes:
    sizes = b"".join(_varint_field(1, size) for size in shape)
    return sizes + _varint_field(2, _DATA_TYPES[dtype]) + _bytes_field(8, name)


def _external(place: Mapping[str, str]) -> bytes:
    entries = (_bytes_field(1, key) + _bytes_field(2, value) for key, value in place.items())
    return b"".join(_bytes_field(13, entry) for entry in entries) + _varint_field(14, _EXTERNAL)


def _attribute(name: str, value: Attribute) -> bytes:
    head = _bytes_field(1, name)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _varint_field(20, _FLOAT)
    if isinstance(value, int):
        return head + _varint_field(3, value) + _varint_field(20, _INT)
    return head + b"".join(_varint_field(8, each) for each in value) + _varint_field(20, _INTS)


def _value_info(tensor: TensorType) -> bytes:
    sizes = (
        _varint_field(1, size) if isinstance(size, int) else _bytes_field(2, size) for size in tensor.shape
    )
    shape = b"".join(_bytes_field(1, size) for size in sizes)
    tensor_type = _varint_field(1, _DATA_TYPES[tensor.dtype]) + _bytes_field(2, shape)
    return _bytes_field(1, tensor.name) + _bytes_field(2, _bytes_field(1, tensor_type))
