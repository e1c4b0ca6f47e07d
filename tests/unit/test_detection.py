import random
import zipfile
from pathlib import Path

import pytest

from ragstone.core.errors import UnsupportedMediaType
from ragstone.parsers.detection import HEAD_BYTES, detect
from ragstone.parsers.zip_kinds import zip_kind

PAGE = b"<!doctype html><html><body><p>Hello</p></body></html>"


@pytest.mark.parametrize(
    ("head", "filename", "declared", "media_type"),
    [
        (b"Just words.", "notes.txt", None, "text/plain"),
        (b"Just words.", None, None, "text/plain"),
        (b"Just words.", "no-suffix", "application/octet-stream", "text/plain"),
        (b"Just words.", "report.pdf", "application/pdf", "text/plain"),
        (b"", "empty.pdf", None, "text/plain"),
        (b"# Title", "README.MD", None, "text/markdown"),
        (b"# Title", "guide.markdown", None, "text/markdown"),
        (b"# Title", None, "text/markdown; charset=utf-8", "text/markdown"),
        (b"# Title", "notes.txt", None, "text/plain"),
        (PAGE, "page.html", None, "text/html"),
        (PAGE, "page.txt", "text/plain", "text/html"),
        (PAGE, None, None, "text/html"),
        (b"<!-- saved -->\n <?xml version='1.0'?> <HTML lang=en>", "x", None, "text/html"),
        (PAGE.decode().encode("utf-16"), "x.txt", None, "text/html"),
        (b"<p>A fragment</p>", "part.html", None, "text/html"),
        (b"<p>A fragment</p>", "part.txt", None, "text/plain"),
        (b"No markup at all, 1 < 2.", "odd.html", "text/html", "text/plain"),
        ("Grüße".encode("utf-16"), "u.txt", None, "text/plain"),
        (b"w\0i\0d\0e\0", "u.txt", None, "text/plain"),
        ("Grüße aus Köln".encode("latin-1"), "l.txt", None, "text/plain"),
        (b"hello\0world", "nul.txt", None, "text/plain"),
        (b"MZ begins this text", "mz.txt", None, "text/plain"),
        (b"The mark %PDF-1.7 opens a file.", "about.txt", None, "text/plain"),
    ],
)
def test_kind_of_text(head: bytes, filename: str | None, declared: str | None, media_type: str) -> None:
    assert detect(head, filename, declared) == media_type


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
        (b"\0\0\0\xff" * 20 + b"%PDF-1.4", "application/pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"{\\rtf1\\ansi Hello}", "application/rtf"),
        (b"PK\x03\x04\x14\0", "application/zip"),
        (b"\x1f\x8b\x08\0", "application/gzip"),
        (b"BZh91AY&SY", "application/x-bzip2"),
        (b"\xfd7zXZ\0\0", "application/x-xz"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "application/x-tar"),
    ],
)
def test_formats_are_known_under_any_name(head: bytes, found: str) -> None:
    assert detect(head, "innocent.txt", "text/plain") == found


@pytest.mark.parametrize(
    "text",
    [
        "BZhang Wei writes about walruses.",
        "See ftyp boxes in films.",
        "Formats WEBP and PNG are for pictures.",
        "The HeatWAVE lasted two weeks.",
        "GIF8 is no format.",
        "x" * 257 + "ustarts with the letter u.",
    ],
)
def test_text_that_begins_as_another_format_stays_text(text: str) -> None:
    assert detect(text.encode(), "notes.txt", "text/plain") == "text/plain"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"RIFF\x24\x08\x00\x00WEBPVP8 ", "image/webp"),
        (b"GIF89a\x01\x00", "image/gif"),
        (b"GIF87a\x01\x00", "image/gif"),
    ],
)
def test_pictures_are_known_by_their_whole_mark(
    monkeypatch: pytest.MonkeyPatch, head: bytes, found: str
) -> None:
    monkeypatch.setattr("ragstone.parsers.detection.is_installed", lambda: True)

    assert detect(head, "innocent.txt", "text/plain") == found


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"%!PS-Adobe-3.0", "application/postscript"),
        (b"RIFF\x24\x08\x00\x00WAVEfmt ", "audio/wav"),
        (b"\x7fELF\x02\x01", "application/x-executable"),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff", "."),
        (b"\0" * 100, "."),
        (random.Random(7).randbytes(HEAD_BYTES), "."),
    ],
)
def test_other_binary_content_is_refused_under_any_name(head: bytes, found: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=f"{found}.*supported: .*application/epub.*text/plain"):
        detect(head, "innocent.txt", "text/plain")


class TestArchives:
    """Office documents and books are zip files; the names inside say which."""

    def kind(self, folder: Path, members: dict[str, bytes]) -> str:
        path = folder / "upload"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        head = path.read_bytes()[:HEAD_BYTES]
        return detect(head, "innocent.txt", "text/plain", path)

    @pytest.mark.parametrize(
        ("member", "kind"),
        [
            ("word/document.xml", "wordprocessingml.document"),
            ("xl/workbook.xml", "spreadsheetml.sheet"),
            ("ppt/presentation.xml", "presentationml.presentation"),
        ],
    )
    def test_an_office_document(self, tmp_path: Path, member: str, kind: str) -> None:
        found = self.kind(tmp_path, {"padding": b"x" * 20_000, "[Content_Types].xml": b"", member: b""})

        assert found == f"application/vnd.openxmlformats-officedocument.{kind}"

    @pytest.mark.parametrize(
        "stated",
        [
            "application/epub+zip",
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.spreadsheet",
        ],
    )
    def test_one_that_states_its_type(self, tmp_path: Path, stated: str) -> None:
        assert self.kind(tmp_path, {"mimetype": stated.encode()}) == stated

    @pytest.mark.parametrize("members", [{"a.txt": b"a"}, {"mimetype": b"text/evil"}, {}])
    def test_any_other_archive(self, tmp_path: Path, members: dict[str, bytes]) -> None:
        assert self.kind(tmp_path, members) == "application/zip"

    def test_document_that_is_not_read_is_no_archive(self, tmp_path: Path) -> None:
        drawing = "application/vnd.oasis.opendocument.graphics"
        with pytest.raises(UnsupportedMediaType, match=f"^{drawing}"):
            self.kind(tmp_path, {"mimetype": drawing.encode(), "content.xml": b""})

    def test_a_directory_beyond_all_measure_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "upload"
        path.write_bytes(b"PK\x03\x04" + b"PK\x05\x06" + bytes(8) + b"\xff\xff\xff\x7f" + bytes(6))

        with path.open("rb") as file:
            assert zip_kind(file) == "application/zip"


@pytest.mark.parametrize(
    ("head", "filename", "declared", "media_type"),
    [
        (b"a,b\n1,2\n", "a.csv", None, "text/csv"),
        (b"a\tb\n", None, "text/tab-separated-values", "text/tab-separated-values"),
        (b' {"a": 1}', "a.json", None, "application/json"),
        (b"not json", "a.json", None, "text/plain"),
        (b'{"a": 1}\n', "a.ndjson", None, "application/jsonl"),
        (b'{"cells": []}', "a.ipynb", None, "application/x-ipynb+json"),
        (b"Title\n=====\n", "a.rst", None, "text/x-rst"),
        (b"def f(): ...", "a.py", None, "text/x-source"),
        (b"Hello", "a.eml", None, "message/rfc822"),
        (b"From: a@b.example\r\nTo: c\r\nSubject: s\r\n\r\nHello", None, None, "message/rfc822"),
        (b"From: the editor\nTo: all readers\n\nHello", "a.txt", None, "text/plain"),
        (b"Dear\nFrom: a\nTo: b\nDate: c\n", "a.txt", None, "text/plain"),
    ],
)
def test_more_kinds_of_text(head: bytes, filename: str | None, declared: str | None, media_type: str) -> None:
    assert detect(head, filename, declared) == media_type


def test_character_cut_at_the_end_of_the_head_is_no_damage() -> None:
    assert detect(("é" * HEAD_BYTES).encode(), "a.txt", None) == "text/plain"


def test_open_comments_are_no_burden() -> None:
    assert detect(b"<!--" * HEAD_BYTES, "a.html", None) == "text/plain"
