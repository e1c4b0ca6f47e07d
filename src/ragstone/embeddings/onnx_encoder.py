"""Runs the encoder's graph on one text at a time. Knows token ids and vectors, neither text nor threads."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstone.core.models import Vector
from ragstone.embeddings.onnx_graph import IDS, TOKENS, VECTOR, OnnxGraph, Precision, build_graph
from ragstone.embeddings.safetensors import SafetensorsFile

_ERRORS_ONLY = 3


class OnnxEncoder:
    """A loaded model. Thread-safe: each call runs on its caller's thread alone and releases the GIL."""

    def __init__(self, weights: Path, *, precision: Precision):
        """Takes about 0.3 s. `weights` must not change while the encoder lives: parts of it stay mapped."""
        path = weights.resolve()  # the engine refuses tensors behind a symbolic link out of their folder
        self._session = _open_session(build_graph(SafetensorsFile.open(path), precision), path.parent)

    def encode(self, ids: Sequence[int]) -> Vector:
        """Token ids with [CLS] and [SEP] → the text's vector, shape (384,), unit length."""
        (vector,) = self._session.run([VECTOR], {IDS: _row(ids)})
        row: Vector = vector[0]
        return row

    def encode_with_tokens(self, ids: Sequence[int]) -> tuple[Vector, NDArray[np.float32]]:
        """As `encode`, and the last hidden layer, shape (len(ids), 384)."""
        vector, tokens = self._session.run([VECTOR, TOKENS], {IDS: _row(ids)})
        return vector[0], tokens[0]


def _row(ids: Sequence[int]) -> NDArray[np.int32]:
    return np.array([ids], np.int32)


def _load_runtime() -> Any:
    """ONNX Runtime without its telemetry. From its import on it would keep an id and a database in the user's cache
    folder and send events to its maker (observed in 1.31 on Linux); this variable alone prevents both."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _open_session(graph: OnnxGraph, folder: Path) -> Any:
    onnxruntime = _load_runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Concurrency comes from running several texts at once: two threads a text cost 1.6 x the CPU and saved no time.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Patterns are kept per input shape, and every length is a shape of its own.
    options.enable_mem_pattern = False
    # Higher levels fuse the normalisation back into an operator that takes seven times as long.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if graph.in_memory:
        tensors = [onnxruntime.OrtValue.ortvalue_from_numpy(values) for values in graph.in_memory.values()]
        options.add_external_initializers(list(graph.in_memory), tensors)
    return onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])
