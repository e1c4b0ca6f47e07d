"""The letters that a PDF's glyphs stand for, as they are written elsewhere."""

import re
import unicodedata

_SURROGATES = re.compile("[\ud800-\udfff]")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
# Ligatures of Latin and Armenian, and the shapes of Hebrew and Arabic letters.
_SHAPES = re.compile("[\ufb00-\ufdcf\ufdf0-\ufdfb\ufe70-\ufefc]")
# TeX sets accents as characters of their own in front of the letter.
_ACCENTED = re.compile("([\u00a8\u00b4\u02c6\u02c7\u02d8-\u02dd])([A-Za-z\u0131\u0237])")
_COMBINING = dict(
    zip(
        "\u00a8\u00b4\u02c6\u02c7\u02d8\u02d9\u02da\u02db\u02dc\u02dd",
        "\u0308\u0301\u0302\u030c\u0306\u0307\u030a\u0328\u0303\u030b",
        strict=True,
    )
)
_DOTLESS = {"\u0131": "i", "\u0237": "j"}
# A vowel mark that PDFium puts, after a space, in front of the letter it stands on.
_STRAY_MARK = re.compile("(?: |^)([\u064b-\u0652\u0670]+)([\u0621-\u064a])")
_LEADERS = re.compile(r"(?: ?[.\u00b7\u2026_]){5,}")


def readable(text: str) -> str:
    """Ligatures and shaped letters as the letters they stand for, accents on their letters, no rows of dots."""
    if not text.isascii():
        if _SURROGATES.search(text) is not None:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _SHAPES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
        text = _ACCENTED.sub(_accented, text)
        text = _STRAY_MARK.sub(r"\2\1", text)
    return _LEADERS.sub(" \u2026", text) if "...." in text or ". . . ." in text or "____" in text else text


def is_rtl(text: str) -> bool:
    """Whether letters that are written from the right stand in it."""
    return not text.isascii() and _RTL.search(text) is not None


def is_lam_alef(letters: str) -> bool:
    """Whether they are the two letters of the one ligature that is obligatory in Arabic, in logical order."""
    return len(letters) == 2 and letters[0] == "\u0644" and letters[1] in "\u0622\u0623\u0625\u0627"


def _accented(match: re.Match[str]) -> str:
    letter = _DOTLESS.get(match[2], match[2])
    composed = unicodedata.normalize("NFC", letter + _COMBINING[match[1]])
    return composed if len(composed) == 1 else match[0]
