"""Reading request bodies: JSON, file names, files."""

import errno
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData, Headers, UploadFile

from ragstone.api.bodies import (
    HEAD_BYTES,
    form_fields,
    parse_json,
    read_form,
    receive_file,
    safe_filename,
)
from ragstone.core.errors import InvalidRequest, MalformedBody, Unavailable


class TestJson:
    def test_of_duplicate_keys_the_last_wins(self) -> None:
        assert parse_json(b'{"a": 1, "a": 2}') == {"a": 2}

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"\xef\xbb\xbf{}",
            '{"a": 1}'.encode("utf-16"),
            '{"a": 1}'.encode("utf-32"),
            b'{"a": "\xff"}',
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"top_k": ' + b"9" * 5_000 + b"}",
        ],
    )
    def test_what_is_not_utf8_json_is_malformed(self, raw: bytes) -> None:
        with pytest.raises(MalformedBody):
            parse_json(raw)


class TestFilenames:
    @pytest.mark.parametrize(
        ("given_name", "kept"),
        [
            ("report.pdf", "report.pdf"),
            ("../../x", "x"),
            ("/etc/passwd", "passwd"),
            ("..\\..\\x.txt", "x.txt"),
            ("C:\\Users\\me\\a.txt", "a.txt"),
            ("%2e%2e%2fx", "x"),
            ("100%25.txt", "100%25.txt"),
            ("a%20b.txt", "a%20b.txt"),
            ("a\x00b.txt", "ab.txt"),
            ("a\r\nb\t.txt", "ab.txt"),
            ("x.txt.", "x.txt"),
            ("x.txt. . ", "x.txt"),
            (".", "unnamed"),
            ("..", "unnamed"),
            ("", "unnamed"),
            ("///", "unnamed"),
            ("\u202egnp.exe", "gnp.exe"),
            ("\ud800.txt", ".txt"),
            ("Übersicht 概要 🙂.md", "Übersicht 概要 🙂.md"),
        ],
    )
    def test_a_name_is_reduced_to_its_harmless_last_part(self, given_name: str, kept: str) -> None:
        assert safe_filename(given_name) == kept

    def test_no_name_stays_none(self) -> None:
        assert safe_filename(None) is None

    def test_a_long_name_keeps_its_ending(self) -> None:
        shortened = safe_filename("x" * 4_096 + ".tar.gz")

        assert shortened is not None
        assert len(shortened) == 255
        assert shortened.endswith(".gz")

    @pytest.mark.parametrize("name", ["x" * 4_096, "x." + "y" * 4_096, "." + "x" * 4_096])
    def test_a_long_name_without_a_usable_ending_is_cut(self, name: str) -> None:
        assert len(safe_filename(name) or "") == 255

    @given(st.text())
    def test_any_name_becomes_one_path_component(self, name: str) -> None:
        kept = safe_filename(name)

        assert kept
        assert len(kept) <= 255
        assert kept not in {".", ".."}
        assert not set(kept) & set("/\\\0\r\n")
        assert kept.isprintable()

    @given(st.text())
    def test_a_kept_name_is_kept_as_it_is(self, name: str) -> None:
        kept = safe_filename(name)

        assert safe_filename(kept) == kept


class TestForms:
    def test_text_fields_are_taken_and_files_left_out(self) -> None:
        form = FormData(
            [("title", "a"), ("file", UploadFile(io.BytesIO())), ("files", "text"), ("title", "b")]
        )

        assert form_fields(form) == {"title": "b"}

    def test_metadata_is_parsed(self) -> None:
        assert form_fields(FormData([("metadata", '{"a": 1}')])) == {"metadata": {"a": 1}}

    @pytest.mark.parametrize("raw", ["", "{", "\ud800", "[" * 100_000])
    def test_metadata_that_is_not_json_is_refused(self, raw: str) -> None:
        with pytest.raises(InvalidRequest):
            form_fields(FormData([("metadata", raw)]))


class TestFiles:
    async def test_a_file_is_spooled_hashed_and_its_head_kept(self, tmp_path: Path) -> None:
        content = bytes(range(256)) * 10_000
        part = UploadFile(
            io.BytesIO(content), filename="a/b.bin", headers=Headers({"content-type": "text/x"})
        )

        received = await receive_file(part, tmp_path / "spool")

        assert (tmp_path / "spool").read_bytes() == content
        assert received.sha256 == hashlib.sha256(content).hexdigest()
        assert received.size_bytes == len(content)
        assert received.head == content[:HEAD_BYTES]
        assert (received.filename, received.declared_type) == ("b.bin", "text/x")

    async def test_a_full_disk_is_a_failure_that_may_pass(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="No such file"):
            await receive_file(UploadFile(io.BytesIO(b"x"), filename="a"), tmp_path / "gone" / "spool")

    async def test_a_form_that_cannot_be_spooled_is_a_failure_that_may_pass(self) -> None:
        async def disk_full() -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        request = Request(
            {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}, disk_full
        )

        with pytest.raises(Unavailable, match="No space left"):
            await read_form(request)

    async def test_an_empty_file_is_received_too(self, tmp_path: Path) -> None:
        received = await receive_file(UploadFile(io.BytesIO(), filename="a"), tmp_path / "spool")

        assert (received.size_bytes, received.head) == (0, b"")


def test_nan_passes_here_since_the_models_refuse_it_by_name() -> None:
    assert json.dumps(parse_json(b"[NaN, 1e999]")) == "[NaN, Infinity]"
