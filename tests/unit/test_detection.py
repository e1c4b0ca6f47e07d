import random

import pytest

from ragstone.core.errors import UnsupportedMediaType
from ragstone.parsers.detection import HEAD_BYTES, detect

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
        (b"PK\x03\x04\x14\0", "application/zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"{\\rtf1\\ansi Hello}", "application/rtf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x7fELF\x02\x01", "application/x-executable"),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff", "."),
        (b"\0" * 100, "."),
        (random.Random(7).randbytes(HEAD_BYTES), "."),
    ],
)
def test_binary_content_is_refused_under_any_name(head: bytes, found: str) -> None:
    with pytest.raises(
        UnsupportedMediaType, match=f"{found}.*supported: text/html, text/markdown, text/plain"
    ):
        detect(head, "innocent.txt", "text/plain")


def test_character_cut_at_the_end_of_the_head_is_no_damage() -> None:
    assert detect(("é" * HEAD_BYTES).encode(), "a.txt", None) == "text/plain"


def test_open_comments_are_no_burden() -> None:
    assert detect(b"<!--" * HEAD_BYTES, "a.html", None) == "text/plain"
