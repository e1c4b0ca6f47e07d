"""The inline part of Markdown: a paragraph's source to the text that a reader sees. Nothing about blocks here.

Emphasis marks, link targets and tags of HTML go, images become their alternative text, code keeps every character.
One pass over the marks; each is looked at once (every repetition in the patterns is possessive and stops at the next
character that could begin a mark), so hostile input costs linear time.
"""

import html
import re
from collections.abc import Callable
from typing import NamedTuple

from ragstone.parsers.blocks import collapse_lines, collapse_spaces

_SPECIAL = re.compile(r"[\\`*_~\[\]<&\n]")
_MARK = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<code>`++)"
    r"|(?P<emphasis>\*++|_++|~++)"
    r"|(?P<open>!?\[)"
    r"|(?P<close>\])"
    r"|(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)"
    r"|(?P<autolink><(?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*+|[^\s<>@]++@[^\s<>]++)>)"
    r"|(?P<comment><!--)"
    r"|<(?P<tag>/?[A-Za-z][A-Za-z0-9-]*+)(?:\s[^<>]*+)?+/?>"
)
_TARGET = re.compile(
    r"\(\s*+(?:<[^<>\n]*+>|(?:[^\s()\\<]|\\.|\((?:[^\s()\\]|\\.)*+\))*+)"
    r"(?:\s++(?:\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|\([^()]*+\)))?+\s*+\)",
    re.DOTALL,
)
_ALTERNATIVE = re.compile(r"\salt\s*+=\s*+([\"'])(.*?)\1", re.IGNORECASE)
_LABEL = re.compile(r"\[([^\[\]]{0,200})\]")
_LABEL_CHARACTERS = 200

BLOCK_TAGS = frozenset(
    str.split(
        "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption figure"
        " footer form h1 h2 h3 h4 h5 h6 head header hr html iframe legend li link main menu nav ol optgroup option p param"
        " picture search section source summary table tbody td tfoot th thead title tr track ul"
    )
)
_INLINE_TAGS = frozenset(
    str.split(
        "a abbr acronym b bdi bdo big button cite code data del dfn em font i img input ins kbd label mark meter noscript"
        " object output progress q rp rt ruby s samp script select small span strike strong style sub sup svg template"
        " textarea time tt u var video wbr"
    )
)


def render_inline(source: str, references: frozenset[str] = frozenset()) -> str:
    """The text that a reader sees. `references` are the casefolded labels of link definitions. White space is
    collapsed; `\\n` in the source is a hard line break and stays one."""
    if _SPECIAL.search(source) is None:
        return collapse_spaces(source)
    return collapse_lines(_Inline(source, references).render(), "\n")


class _OpenRun(NamedTuple):
    """A run of emphasis marks that may open: its index in `_out`, its length in the source."""

    piece: int
    length: int
    can_close: bool


class _Inline:
    """One paragraph in work: `_out` holds the text so far, in pieces that a later mark may still take back."""

    def __init__(self, source: str, references: frozenset[str]):
        self._source = source
        self._references = references
        self._out: list[str] = []
        self._brackets: list[tuple[int, int]] = []  # (index in _out, offset in the source) of open [ and ![
        self._emphasis: dict[str, list[_OpenRun]] = {"*": [], "_": [], "~": []}
        self._code_runs = _positions_by_length(source) if "`" in source else {}
        self._comments_close = True

    def render(self) -> str:
        at = 0
        while (mark := _MARK.search(self._source, at)) is not None:
            self._out.append(self._source[at : mark.start()])
            at = self._rules[str(mark.lastgroup)](self, mark)
        self._out.append(self._source[at:])
        return "".join(self._out)

    def _escaped(self, mark: re.Match[str]) -> int:
        self._out.append(mark["escaped"])
        return mark.end()

    def _code(self, mark: re.Match[str]) -> int:
        run = len(mark["code"])
        closers = self._code_runs[run]
        while closers and closers[-1] <= mark.start():
            closers.pop()
        if not closers:
            self._out.append(mark["code"])
            return mark.end()
        close = closers.pop()
        self._out.append(self._source[mark.end() : close])
        return close + run

    def _run_of_emphasis(self, mark: re.Match[str]) -> int:
        run = mark["emphasis"]
        can_open, can_close = _flanks(self._source, mark.start(), mark.end())
        if run[0] == "~" and len(run) != 2:
            can_open = can_close = False
        self._out.append(run)
        open_runs = self._emphasis[run[0]]
        if can_close:
            self._close_emphasis(open_runs, len(run), can_open=can_open)
        if can_open and self._out[-1]:
            open_runs.append(_OpenRun(len(self._out) - 1, len(run), can_close))
        return mark.end()

    def _close_emphasis(self, open_runs: list["_OpenRun"], length: int, *, can_open: bool) -> None:
        """Take as many marks off the open runs as the run just written can match."""
        while open_runs and self._out[-1]:
            opener = open_runs[-1]
            # CommonMark's rule of three: in **a*b*c** the inner marks belong to each other.
            if (can_open or opener.can_close) and (opener.length + length) % 3 == 0 and length % 3:
                return
            matched = min(len(self._out[opener.piece]), len(self._out[-1]))
            self._out[opener.piece] = self._out[opener.piece][matched:]
            self._out[-1] = self._out[-1][matched:]
            if not self._out[opener.piece]:
                open_runs.pop()

    def _open(self, mark: re.Match[str]) -> int:
        self._brackets.append((len(self._out), mark.end()))
        self._out.append(mark["open"])
        return mark.end()

    def _close(self, mark: re.Match[str]) -> int:
        if not self._brackets:
            self._out.append("]")
            return mark.end()
        opener, label_start = self._brackets.pop()
        end = self._link_end(label_start, mark)
        if end is None:
            self._out.append("]")
            return mark.end()
        self._out[opener] = ""
        return end

    def _link_end(self, label_start: int, mark: re.Match[str]) -> int | None:
        """Where the link that ends its text at `mark` ends; None if it is no link."""
        target = _TARGET.match(self._source, mark.end())
        if target is not None:
            return target.end()
        if not self._references:
            return None
        label = self._source[label_start : min(mark.start(), label_start + _LABEL_CHARACTERS)]
        reference = _LABEL.match(self._source, mark.end())
        if reference is not None and self._is_defined(reference[1] or label):
            return reference.end()
        return mark.end() if self._is_defined(label) else None

    def _is_defined(self, label: str) -> bool:
        return normal_label(label) in self._references

    def _entity(self, mark: re.Match[str]) -> int:
        self._out.append(html.unescape(mark["entity"]))
        return mark.end()

    def _autolink(self, mark: re.Match[str]) -> int:
        self._out.append(mark["autolink"][1:-1].removeprefix("mailto:"))
        return mark.end()

    def _comment(self, mark: re.Match[str]) -> int:
        close = self._source.find("-->", mark.end()) if self._comments_close else -1
        if close < 0:
            self._comments_close = False
            self._out.append(mark["comment"])
            return mark.end()
        return close + 3

    def _tag(self, mark: re.Match[str]) -> int:
        name = mark["tag"].removeprefix("/").lower()
        if name == "img":
            alternative = _ALTERNATIVE.search(mark[0])
            self._out.append(html.unescape(alternative[2]) if alternative is not None else "")
        elif name in BLOCK_TAGS:
            self._out.append("\n")
        elif name not in _INLINE_TAGS:
            self._out.append(mark[0])  # a placeholder such as <name> says something
        return mark.end()

    _rules: dict[str, Callable[["_Inline", re.Match[str]], int]] = {  # noqa: RUF012  # never written to
        "escaped": _escaped,
        "code": _code,
        "emphasis": _run_of_emphasis,
        "open": _open,
        "close": _close,
        "entity": _entity,
        "autolink": _autolink,
        "comment": _comment,
        "tag": _tag,
    }


def normal_label(label: str) -> str:
    """Labels of link definitions are compared in this form."""
    return " ".join(label.split()).casefold()


def _positions_by_length(source: str) -> dict[int, list[int]]:
    """Offsets of runs of backticks by the length of the run, last first."""
    runs: dict[int, list[int]] = {}
    for run in re.finditer("`++", source):
        runs.setdefault(run.end() - run.start(), []).append(run.start())
    for positions in runs.values():
        positions.reverse()
    return runs


def _flanks(source: str, start: int, end: int) -> tuple[bool, bool]:
    """Whether a run of emphasis marks can open and can close, by the rules of CommonMark 0.31, section 6.2."""
    before = source[start - 1] if start else " "
    after = source[end] if end < len(source) else " "
    space_before, space_after = before.isspace(), after.isspace()
    word_before, word_after = _is_word(before), _is_word(after)
    left = not space_after and (word_after or space_before or not word_before)
    right = not space_before and (word_before or space_after or not word_after)
    if source[start] == "_":
        return left and (not right or not word_before), right and (not left or not word_after)
    return left, right


def _is_word(character: str) -> bool:
    return not character.isspace() and (character.isalnum() or ord(character) > 127)
