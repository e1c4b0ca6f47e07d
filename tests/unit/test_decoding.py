import pytest

from ragstone.core.errors import NoText
from ragstone.parsers.decoding import clean, decode, require_text

GERMAN = "Die schöne Größe der Straße überraschte Jürgen in Köln."
FRENCH = "L'été était très chaud. J'ai acheté un café à 3,50 €, où ça ? "
RUSSIAN = "Привет, это обычный русский текст в старой кодировке. Он нужен для проверки. "
JAPANESE = "これは日本語の文章です。文字コードの検出を試します。"


@pytest.mark.parametrize(
    ("text", "codec", "encoding"),
    [
        ("plain", "ascii", "utf-8"),
        (GERMAN, "utf-8", "utf-8"),
        (GERMAN, "utf-8-sig", "utf-8"),
        (GERMAN, "utf-16", "utf-16-le"),
        (GERMAN, "utf-32", "utf-32-le"),
        ("without a mark", "utf-16-le", "utf-16-le"),
        ("without a mark", "utf-16-be", "utf-16-be"),
        (GERMAN, "latin-1", "cp1252"),
        (FRENCH, "cp1252", "cp1252"),
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN * 5, "koi8-r", "koi8_r"),
        (JAPANESE * 3, "shift_jis", "cp932"),
        (JAPANESE * 3, "euc-jp", "euc_jp"),
        (JAPANESE, "iso2022-jp", "iso2022_jp"),
    ],
)
def test_encoding_is_recognised_and_recorded(text: str, codec: str, encoding: str) -> None:
    decoded = decode(text.encode(codec))
    assert (decoded.text, decoded.encoding) == (text, encoding)


def test_declared_encoding_is_believed_when_the_content_fits() -> None:
    polish = "Zażółć gęślą jaźń".encode("iso8859-2")
    assert decode(polish, declared="iso8859-2").text == "Zażółć gęślą jaźń"


def test_declared_encoding_that_does_not_fit_is_ignored() -> None:
    assert decode(GERMAN.encode("latin-1"), declared="utf-8").text == GERMAN


def test_one_broken_byte_does_not_change_the_encoding() -> None:
    decoded = decode(GERMAN.encode() * 10 + b"\xff" + GERMAN.encode())
    assert decoded.encoding == "utf-8"
    assert decoded.text == GERMAN * 10 + "\ufffd" + GERMAN


def test_bytes_that_are_no_known_encoding_still_give_text() -> None:
    assert decode(bytes(range(128, 256)) * 50).encoding == "cp1252"


def test_detection_looks_where_the_foreign_characters_are() -> None:
    content = b"ascii line\n" * 20_000 + (RUSSIAN * 20).encode("cp1251")
    assert decode(content).encoding == "cp1251"


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_every_line_end_becomes_a_newline(ending: str) -> None:
    assert clean(f"one{ending}two") == "one\ntwo"


@pytest.mark.parametrize("kept", ["", "é"])
def test_controls_and_lone_surrogates_are_dropped(kept: str) -> None:
    assert clean(f"a\0b\x1b[31mc\x7fd\te{kept}") == f"ab[31mcd\te{kept}"
    assert clean("a\ud800b\udfffc\x9bd\ufeff") == "abcd"


@pytest.mark.parametrize("blank", ["", " \n\t", "\u200b\u200d\ufeff", "\u00ad\u2060\ufe0f"])
def test_text_that_nobody_could_see_is_no_text(blank: str) -> None:
    with pytest.raises(NoText):
        require_text(blank)


@pytest.mark.parametrize("visible", ["a", "…", "漢", "😀", "\u200bx"])
def test_anything_visible_is_text(visible: str) -> None:
    require_text(visible)
