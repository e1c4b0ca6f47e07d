"""Where a text may be cut without tearing a character that a reader sees as one.

The rules are those of UAX #29 (extended grapheme clusters), slightly on the safe side: what the standard library
cannot tell apart is not cut. White space may always be cut.
"""

import unicodedata

LONGEST = (
    64  # code points; UAX #15 calls 30 combining marks a stream-safe bound, what is longer is no writing
)

_ZWJ, _ZWNJ = "\u200d", "\u200c"
_VIRAMA = 9  # canonical combining class of the signs that join Indic consonants
_LATE_VOWELS = frozenset("\u0e33\u0eb3\uff9e\uff9f")  # letters by category that extend the one before them
_LEADING, _VOWEL, _TRAILING = range(3)


def is_boundary(text: str, at: int) -> bool:
    """Whether the text may be cut in front of index `at`."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if before.isspace() or after.isspace():
        return not (before == "\r" and after == "\n")
    if after.isascii():
        return before != _ZWJ
    if before in (_ZWJ, _ZWNJ) or _extends(after) or unicodedata.combining(before) == _VIRAMA:
        return False
    if _is_regional(after) and _is_regional(before):
        return _regional_run(text, at) % 2 == 0
    return not _joins_hangul(before, after)


def boundary_before(text: str, at: int, floor: int) -> int:
    """The last boundary in `floor < i <= at`; `at` itself where a cluster is longer than any writing has."""
    for candidate in range(at, max(floor, at - LONGEST), -1):
        if is_boundary(text, candidate):
            return candidate
    return at


def _extends(character: str) -> bool:
    """Marks, joiners, variation selectors, skin tones, tags."""
    if unicodedata.category(character) in ("Mn", "Me", "Mc") or character in (_ZWJ, _ZWNJ):
        return True
    return (
        "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
        or character in _LATE_VOWELS
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regional_run(text: str, at: int) -> int:
    """How many regional indicators stand in a row before `at`: flags are pairs of them."""
    start = at
    while start > max(0, at - 2 * LONGEST) and _is_regional(text[start - 1]):
        start -= 1
    return at - start


def _joins_hangul(before: str, after: str) -> bool:
    left, right = _hangul_end(before), _hangul_start(after)
    if left is None or right is None:
        return False
    return left == _LEADING or right == _TRAILING or (left == _VOWEL and right == _VOWEL)


def _hangul_start(character: str) -> int | None:
    """What kind of jamo a Hangul character begins with; a composed syllable begins like a leading consonant."""
    if "\uac00" <= character <= "\ud7a3":
        return _LEADING
    return _jamo(character)


def _hangul_end(character: str) -> int | None:
    if "\uac00" <= character <= "\ud7a3":
        return _VOWEL if (ord(character) - 0xAC00) % 28 == 0 else _TRAILING
    return _jamo(character)


def _jamo(character: str) -> int | None:
    if "\u1100" <= character <= "\u115f" or "\ua960" <= character <= "\ua97c":
        return _LEADING
    if "\u1160" <= character <= "\u11a7" or "\ud7b0" <= character <= "\ud7c6":
        return _VOWEL
    if "\u11a8" <= character <= "\u11ff" or "\ud7cb" <= character <= "\ud7fb":
        return _TRAILING
    return None
