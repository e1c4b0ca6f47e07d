"""Where the sentences of a text stand. Spans only: no text is copied, and time is linear in its length."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

Span = tuple[int, int]

SHORTEST = 12  # bytes of UTF-8; what is shorter says nothing alone and is joined to a neighbour
_NARROWEST_WRAP = (
    50  # characters; lines of a paragraph that was wrapped by hand or machine are longer than this
)
_LONGEST_ABBREVIATION = 24

# A run of terminators begins where no terminator stands before it, and every repetition is possessive: linear.
_END = re.compile(
    r"""(?<![.!?…])[.!?…؟۔।॥։።။។]++["'”’»)\]*_]*+(?:\[[^\[\]\s]{1,12}\])*+(?=\s|\Z)"""
    r"""|[。！？｡]++[」』”’）】〉》"')]*+"""
)
LIST_MARK = re.compile(r"[ \t]*+(?:[-*+•‣◦–—]|\(?\d{1,3}[.)]|[A-Za-z]\)|[a-z]\.)[ \t]++(?=\S)")
_CONTINUING = frozenset(("Mn", "Me", "Mc", "Cf"))
_FIRST_WORD = re.compile(r"[^\S\n]*+(\S++)")
_OPENING_WORD = re.compile(r"\w{1,12}")
_WORD_BEFORE = re.compile(r"(?:^|[\s(\[\"'“‘])([^\s(\[\"'“‘]*)\Z")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")

# Words whose full stop belongs to them: before any word, or before a number only.
_NEVER_ENDS = frozenset(
    str.split(
        "mr mrs ms dr prof sr jr st mt messrs gen col lt sgt capt cmdr adm rev hon gov sen rep pres supt e.g i.e cf vs viz"
        " approx ca al resp incl excl z.b d.h bzw vgl ggf evtl sog bspw p.ex"
    )
)
_BEFORE_NUMBER = frozenset(
    str.split(
        "no nos nr art abs fig figs eq eqs sec secs ch chap vol vols p pp para ref refs tab app pt jan feb mar apr jun jul"
        " aug sep sept oct nov dec v ver op item step"
    )
)
# They may end a sentence; then a word follows that sentences begin with.
_MAY_END = frozenset(
    str.split("inc ltd co corp dept univ assn bros est jan feb mar apr jun jul aug sep sept oct nov dec")
)
_OPENERS = frozenset(
    str.split(
        "the a an in on at it its he she they we you i this that these those there but and or if when while as for from"
        " after before since although however moreover because to with by our his her their my your no not what who how"
        " der die das ein eine es er sie wir ich le la les un une il elle nous el los en"
    )
)


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Spans of the sentences of `text[start:end]`, in order, without the white space and list marks around them.

    A line break ends a sentence unless the paragraph was wrapped there. Sentences shorter than `SHORTEST` are joined
    to a neighbour."""
    end = len(text) if end is None else end
    spans = (
        sentence
        for line_start, line_end in unwrapped_lines(text, start, end)
        for sentence in line_sentences(text, line_start, line_end)
    )
    return join_short(text, spans)


def unwrapped_lines(text: str, start: int, end: int) -> Iterator[Span]:
    """Spans of the lines, where lines that were wrapped count as one; blank ones are left out, list marks too."""
    widest = _widest_line(text, start, end)
    first = line_start = start
    for line_end in _line_ends(text, start, end):
        if not _is_wrapped(text, line_end - line_start, line_end + 1, end, widest):
            yield from trimmed(text, first, line_end)
            first = line_end + 1
        line_start = line_end + 1
    yield from trimmed(text, first, end)


def line_sentences(text: str, start: int, end: int) -> Iterator[Span]:
    """Spans of the sentences of one line (line breaks in it are white space)."""
    sentence_start = start
    has_capitals = not text[start:end].islower()
    for match in _END.finditer(text, start, end):
        if match.end() < end and not _ends_here(text, sentence_start, match, end, has_capitals=has_capitals):
            continue
        yield sentence_start, match.end()
        sentence_start = _skip_space(text, match.end(), end)
    if sentence_start < end:
        yield sentence_start, end


def join_short(text: str, spans: Iterable[Span]) -> list[Span]:
    """Each span that is too short to say something is joined to the next one; the last to the one before it."""
    joined: list[Span] = []
    pending: Span | None = None
    for start, end in spans:
        begin = pending[0] if pending else start
        pending = (begin, end) if _is_short(text, begin, end) else None
        if pending is None:
            joined.append((begin, end))
    if pending is not None:
        begin = joined.pop()[0] if joined else pending[0]
        joined.append((begin, pending[1]))
    return joined


def trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    """The span without white space and a list mark; nothing if it is blank."""
    mark = LIST_MARK.match(text, start, end)
    start = mark.end() if mark is not None else _skip_space(text, start, end)
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end


def _is_short(text: str, start: int, end: int) -> bool:
    """Bytes, not characters: twelve ideographs are a sentence."""
    return end - start < SHORTEST and len(text[start:end].encode("utf-8", "replace")) < SHORTEST


def _line_ends(text: str, start: int, end: int) -> Iterator[int]:
    while (start := text.find("\n", start, end)) >= 0:
        yield start
        start += 1


def _widest_line(text: str, start: int, end: int) -> int:
    widest = 0
    for line_end in _line_ends(text, start, end):
        widest = max(widest, line_end - start)
        start = line_end + 1
    return max(widest, end - start)


def _skip_space(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _is_wrapped(text: str, length: int, next_start: int, end: int, widest: int) -> bool:
    """Whether a line was broken for want of room: the next word would not have fitted into the widest line."""
    if widest < _NARROWEST_WRAP or LIST_MARK.match(text, next_start, end) is not None:
        return False
    word = _FIRST_WORD.match(text, next_start, end)
    return word is not None and length + 1 + word.end(1) - word.start(1) > widest


def _ends_here(text: str, start: int, match: re.Match[str], end: int, *, has_capitals: bool) -> bool:
    """Whether a run of terminators that is followed by more text ends its sentence."""
    mark = match[0]
    if mark[0] in "。！？｡":
        return not _continues(text[match.end()])
    following = _skip_space(text, match.end(), end)
    if following >= end:
        return True
    if _continues(text[following]):
        return False
    if (
        has_capitals
        and text[following].islower()
        and (mark[0] in ".…" or len(mark.rstrip(".!?…")) < len(mark))
    ):
        return False
    return (
        mark[0] != "."
        or mark.startswith("..")
        or not _is_abbreviated(text, start, match.start(), following, end)
    )


def _continues(character: str) -> bool:
    """Whether the character belongs to the one before it: marks, joiners, tags, skin tones."""
    if character.isascii():
        return False
    return unicodedata.category(character) in _CONTINUING or "\U0001f3fb" <= character <= "\U0001f3ff"


def _is_abbreviated(text: str, start: int, stop: int, following: int, end: int) -> bool:
    """Whether the full stop at `stop` belongs to the word before it."""
    found = _WORD_BEFORE.search(text[max(start, stop - _LONGEST_ABBREVIATION) : stop])
    if found is None:
        return False
    word = found[1].lower()
    if word.isdigit():
        return stop - len(word) == start  # the number of an item
    if word in _NEVER_ENDS:
        return True
    if word in _BEFORE_NUMBER and text[following].isdigit():
        return True
    if word in _MAY_END or _INITIALS.fullmatch(word) is not None:
        return not _is_opener(text, following, end) and word not in ("a.m", "p.m")
    return False


def _is_opener(text: str, start: int, end: int) -> bool:
    word = _OPENING_WORD.match(text, start, end)
    return word is not None and word[0].lower() in _OPENERS
