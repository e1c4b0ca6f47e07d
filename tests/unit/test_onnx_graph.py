"""The encoder's graph computes what the model's definition says: compared with a plain forward pass in float64."""

import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ragstone.core.tokenizer import ModelFiles, WordPieceTokenizer
from ragstone.embeddings.onnx_encoder import OnnxEncoder
from ragstone.embeddings.onnx_graph import build_graph, quantise
from ragstone.embeddings.safetensors import SafetensorsFile

Floats = NDArray[np.float64]

TEXTS = (
    "What does the warranty cover?",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "def add(first, second):\n    return first + second  # 日本語 🦊",
    "A warranty of two years covers defects of material. " * 8,
    "",
)


def erf(values: Floats) -> Floats:
    return np.fromiter(map(math.erf, values.ravel()), np.float64, values.size).reshape(values.shape)


class ReferenceModel:
    """BERT as its paper has it, six layers of twelve heads, then the mean over all tokens, then unit length."""

    def __init__(self, files: ModelFiles):
        content = files.weights().read_bytes()
        length = int.from_bytes(content[:8], "little")
        self._content = memoryview(content)[8 + length :]
        self._header: dict[str, Any] = json.loads(content[8 : 8 + length])

    def encode(self, ids: list[int]) -> tuple[Floats, Floats]:
        tables = [
            self._tensor(f"embeddings.{name}_embeddings.weight")
            for name in ("word", "position", "token_type")
        ]
        positions = range(len(ids))
        rows = [table[chosen] for table, chosen in zip(tables, (ids, positions, [0]), strict=True)]
        hidden = self._norm(np.sum(np.broadcast_arrays(*rows), axis=0, dtype=np.float64), "embeddings")
        for layer in range(6):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        mean: Floats = hidden.mean(axis=0)
        return mean / np.linalg.norm(mean), hidden

    def _layer(self, hidden: Floats, name: str) -> Floats:
        attended = self._linear(
            self._attention(hidden, f"{name}.attention.self"), f"{name}.attention.output.dense"
        )
        hidden = self._norm(hidden + attended, f"{name}.attention.output")
        inner = self._linear(hidden, f"{name}.intermediate.dense")
        activated = inner * (1 + erf(inner / math.sqrt(2))) / 2
        return self._norm(hidden + self._linear(activated, f"{name}.output.dense"), f"{name}.output")

    def _attention(self, hidden: Floats, name: str) -> Floats:
        query, key, value = (
            self._linear(hidden, f"{name}.{part}").reshape(len(hidden), 12, 32).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(32))
        mixed: Floats = scores / scores.sum(axis=2, keepdims=True) @ value
        return mixed.transpose(1, 0, 2).reshape(hidden.shape)

    def _linear(self, values: Floats, name: str) -> Floats:
        product: Floats = values @ self._tensor(f"{name}.weight").T
        return product + self._tensor(f"{name}.bias")

    def _norm(self, values: Floats, name: str) -> Floats:
        centred = values - values.mean(axis=1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
        gain, shift = self._tensor(f"{name}.LayerNorm.weight"), self._tensor(f"{name}.LayerNorm.bias")
        normalised: Floats = centred / scale * gain + shift
        return normalised

    def _tensor(self, name: str) -> NDArray[np.float32]:
        start, end = self._header[name]["data_offsets"]
        return np.frombuffer(self._content[start:end], np.float32).reshape(self._header[name]["shape"])


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    return ModelFiles.locate()


@pytest.fixture(scope="module")
def token_ids(files: ModelFiles) -> list[list[int]]:
    tokenizer = WordPieceTokenizer.load(files)
    return [[101, *tokenizer.tokens(text)[0][:254], 102] for text in TEXTS]


@pytest.fixture(scope="module")
def float32(files: ModelFiles) -> OnnxEncoder:
    return OnnxEncoder(files.weights(), precision="fp32")


@pytest.fixture(scope="module")
def int8(files: ModelFiles) -> OnnxEncoder:
    return OnnxEncoder(files.weights(), precision="int8")


def test_float32_graph_computes_the_model(
    files: ModelFiles, float32: OnnxEncoder, token_ids: list[list[int]]
) -> None:
    reference = ReferenceModel(files)
    for ids in token_ids:
        expected_vector, expected_tokens = reference.encode(ids)
        vector, tokens = float32.encode_with_tokens(ids)
        assert np.abs(vector - expected_vector).max() < 1e-5
        assert (
            np.abs(tokens - expected_tokens).max() < 1e-4
        )  # of values around 1, where those above are around 0.05


def test_vector_is_the_same_with_and_without_tokens(int8: OnnxEncoder, token_ids: list[list[int]]) -> None:
    for ids in token_ids:
        assert np.array_equal(int8.encode(ids), int8.encode_with_tokens(ids)[0])


def test_int8_stays_near_float32(float32: OnnxEncoder, int8: OnnxEncoder, token_ids: list[list[int]]) -> None:
    for ids in token_ids:
        assert float32.encode(ids) @ int8.encode(ids) > 0.97


def test_large_float32_tensors_are_left_in_their_file(files: ModelFiles) -> None:
    graph = build_graph(SafetensorsFile.open(files.weights()), "fp32")
    assert graph.in_memory == {}
    assert len(graph.model) < 50_000


def test_only_quantised_tensors_are_held_in_memory(files: ModelFiles) -> None:
    graph = build_graph(SafetensorsFile.open(files.weights()), "int8")
    assert sum(values.nbytes for values in graph.in_memory.values()) < 11_000_000


def test_quantised_weights_keep_to_seven_bits_and_to_half_a_step() -> None:
    weight = np.random.default_rng(7).standard_normal((5, 40)).astype(np.float32)
    weight[3] = 0
    levels, scales = quantise(weight)
    assert levels.shape == (40, 5)
    assert np.abs(levels).max() == 63
    assert np.abs(levels * scales - weight.T).max() <= scales.max() / 2 + 1e-6
