"""The ONNX graph of all-MiniLM-L6-v2, written straight from its safetensors: no torch, no `onnx`. Runs nothing.

One text per run, hence no padding and no attention mask (which also lets the engine take its flash attention):

    ids ─ embeddings ─ 6 × (attention ─ add & norm ─ feed-forward ─ add & norm) ─┬─ tokens   (1, sequence, 384)
                                                                               └─ mean ─ unit length ─ vector (1, 384)

Against the usual fused operators (SkipLayerNormalization, BiasGelu, a mask) it takes two thirds of the CPU in int8 and
five sixths in fp32 (chunks of 210 tokens, AVX-512 with VNNI): plain LayerNormalization and Gelu are vectorised.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ragstone.embeddings.onnx_writer import MICROSOFT, Array, OnnxWriter, TensorType
from ragstone.embeddings.safetensors import SafetensorsFile, StoredTensor

Precision = Literal["int8", "fp32"]

DIMENSION = 384
IDS, VECTOR, TOKENS = "ids", "vector", "tokens"
_LAYERS = 6
_HEADS = 12
_EPSILON = 1e-12
# 7 bits: without VNNI two products are added in 16 bits, which full 8-bit weights would saturate.
_INT8_LEVELS = 63


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """A serialised model and the large tensors that are handed over beside it. Tensors that the engine can take as
    they are stay in the safetensors file, whose folder the session must be told."""

    model: bytes
    in_memory: dict[str, Array]


def build_graph(weights: SafetensorsFile, precision: Precision) -> OnnxGraph:
    """Input `ids`, int32 (1, sequence) with [CLS] and [SEP]; outputs `vector` (1, 384), unit length, and `tokens`
    (1, sequence, 384), the last hidden layer.

    int8 quantises the weights per output channel and the activations per tensor, at run time.
    """
    writer = OnnxWriter()
    linear: _Linear = _Int8Linear(writer) if precision == "int8" else _Float32Linear(writer)
    encoder = _Encoder(writer, weights, linear)
    hidden = encoder.embed()
    for layer in range(_LAYERS):
        hidden = encoder.transform(hidden, layer, output=TOKENS if layer == _LAYERS - 1 else f"hidden{layer}")
    _pool(writer, hidden)
    model = writer.model(
        [TensorType(IDS, "int32", (1, "sequence"))],
        [
            TensorType(VECTOR, "float32", (1, DIMENSION)),
            TensorType(TOKENS, "float32", (1, "sequence", DIMENSION)),
        ],
    )
    return OnnxGraph(model, writer.in_memory)


class _Linear(Protocol):
    """x · Wᵀ + b, in one precision; `weight` is stored as (outputs, inputs)."""

    def __call__(self, source: str, name: str, weight: StoredTensor, bias: StoredTensor) -> str: ...


class _Float32Linear:
    def __init__(self, writer: OnnxWriter):
        self._writer = writer

    def __call__(self, source: str, name: str, weight: StoredTensor, bias: StoredTensor) -> str:
        inputs = [source, self._writer.stored_initializer(f"{name}.weight", weight)]
        # transB: the engine packs the weight from the file, so that no transposed copy is ever made
        product = self._writer.node("FusedMatMul", inputs, f"{name}.product", domain=MICROSOFT, transB=1)
        return self._writer.node(
            "Add", [product, self._writer.stored_initializer(f"{name}.bias", bias)], name
        )


class _Int8Linear:
    def __init__(self, writer: OnnxWriter):
        self._writer = writer

    def __call__(self, source: str, name: str, weight: StoredTensor, bias: StoredTensor) -> str:
        levels, scales = quantise(weight.read())
        inputs = [
            source,
            self._writer.initializer(f"{name}.weight", levels),
            self._writer.initializer(f"{name}.scale", scales),
            "",  # zero point: symmetric
            self._writer.stored_initializer(f"{name}.bias", bias),
        ]
        return self._writer.node("DynamicQuantizeMatMul", inputs, name, domain=MICROSOFT)


def quantise(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric integers per output channel: (outputs, inputs) → levels (inputs, outputs) and scales (outputs,)."""
    transposed = np.ascontiguousarray(weight.T)
    scales = np.abs(transposed).max(axis=0) / np.float32(_INT8_LEVELS)
    scales[scales == 0] = 1  # an all-zero channel stays zero
    return np.rint(transposed / scales).astype(np.int8), scales


class _Encoder:
    """Adds the parts of a BERT encoder to a writer; every method returns the name of its output."""

    def __init__(self, writer: OnnxWriter, weights: SafetensorsFile, linear: _Linear):
        self._writer = writer
        self._weights = weights
        self._linear = linear

    def embed(self) -> str:
        """Word + position + type embeddings, normalised. The tables stay in the file: only rows in use are read."""
        tables = ("word_embeddings", "position_embeddings", "token_type_embeddings")
        parts = [f"embeddings.{table}.weight" for table in tables]
        parts += ["embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"]
        stored = [self._writer.stored_initializer(name, self._weights[name]) for name in parts]
        return self._writer.node(
            "EmbedLayerNormalization",
            [IDS, "", *stored],
            "embedded",
            "length",
            domain=MICROSOFT,
            epsilon=_EPSILON,
        )

    def transform(self, hidden: str, layer: int, *, output: str) -> str:
        """One transformer layer."""
        prefix = f"encoder.layer.{layer}"
        attended = self._normalise(
            self._attend(hidden, f"{prefix}.attention"),
            hidden,
            f"{prefix}.attention.output.LayerNorm",
            output=f"attended{layer}",
        )
        widened = self._project(attended, f"{prefix}.intermediate.dense")
        activated = self._writer.node("Gelu", [widened], f"activated{layer}", domain=MICROSOFT)
        narrowed = self._project(activated, f"{prefix}.output.dense")
        return self._normalise(narrowed, attended, f"{prefix}.output.LayerNorm", output=output)

    def _attend(self, hidden: str, prefix: str) -> str:
        projections = [self._project(hidden, f"{prefix}.self.{part}") for part in ("query", "key", "value")]
        mixed = self._writer.node(
            "MultiHeadAttention", projections, f"{prefix}.mixed", domain=MICROSOFT, num_heads=_HEADS
        )
        return self._project(mixed, f"{prefix}.output.dense")

    def _project(self, source: str, name: str) -> str:
        return self._linear(source, name, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _normalise(self, change: str, hidden: str, name: str, *, output: str) -> str:
        total = self._writer.node("Add", [change, hidden], f"{name}.sum")
        scale_and_shift = [
            self._writer.stored_initializer(each, self._weights[each])
            for each in (f"{name}.weight", f"{name}.bias")
        ]
        return self._writer.node(
            "LayerNormalization", [total, *scale_and_shift], output, axis=-1, epsilon=_EPSILON
        )


def _pool(writer: OnnxWriter, hidden: str) -> None:
    mean = writer.node("ReduceMean", [hidden], "mean", axes=[1], keepdims=0)
    writer.node("LpNormalization", [mean], VECTOR, axis=-1, p=2)
