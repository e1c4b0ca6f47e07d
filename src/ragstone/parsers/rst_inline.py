"""The marks inside lines of reStructuredText, taken off: what stays is what a reader of the page sees."""

import re
from collections.abc import Mapping

_INLINE = re.compile(
    r"\\(?P<escaped>\s|.)"
    r"|``(?P<literal>(?:[^`]++|`(?!`))++)``"
    r"|(?P<role>:(?:[A-Za-z][\w.+-]{0,60}+:){1,3}+)?`(?P<text>(?:[^`\\]++|\\.)++)`(?P<after>:(?:[A-Za-z][\w.+-]{0,60}+:){1,3}+|__?(?!\w))?"
    r"|\|(?P<name>[^\s|](?:[^|\n]{0,100}[^\s|])?)\|_{0,2}+"
    r"|\[(?P<note>\#?[\w.-]{0,60}|\*)\]_(?!\w)"
    r"|(?<![\w*])\*\*(?P<strong>[^\s*](?:[^*\n]|\n(?!\n)){0,1000}?)\*\*(?!\w)"
    r"|(?<![\w*])\*(?P<emphasis>[^\s*](?:[^*\n]|\n(?!\n)){0,1000}?)\*(?![\w*])"
    r"|(?<![\w.+-])(?P<reference>[^\W_](?:[\w.+-]{0,100}[^\W_])?)__?(?!\w)",
    re.DOTALL,
)
_TARGET = re.compile(r"(?<=\S)\s*+<[^<>]*+>\Z")
_MOST_NESTING = 3


def render(source: str, substitutions: Mapping[str, str]) -> str:
    """The text without its marks; names between bars are replaced by what they stand for."""
    return _render(source, substitutions, 0)


def _render(source: str, substitutions: Mapping[str, str], depth: int) -> str:
    if depth > _MOST_NESTING or not any(mark in source for mark in "\\`|*_"):
        return source

    def replaced(mark: re.Match[str]) -> str:
        return _replaced(mark, substitutions, depth)

    return _INLINE.sub(replaced, source)


def _replaced(mark: re.Match[str], substitutions: Mapping[str, str], depth: int) -> str:
    kind = mark.lastgroup
    if kind == "escaped":
        return mark["escaped"].strip()
    if kind == "name":
        text = substitutions.get(" ".join(mark["name"].lower().split()))
        return mark[0] if text is None else _render(text, substitutions, depth + 1)
    if kind == "note":
        return f"[{mark['note'].removeprefix('#')}]"
    if mark["text"] is not None:
        return _interpreted(mark["text"], (mark["role"] or mark["after"] or "").strip(":_"))
    return str(mark[kind or 0])


def _interpreted(text: str, role: str) -> str:
    """What a link or a role shows: its own text, or the last name of a path into code."""
    text = text.replace("\\", "")
    if role in ("raw", "index"):
        return ""
    shown = _TARGET.sub("", text)
    if shown != text or not role:
        return shown or text
    if text.startswith("~"):
        return text[1:].rpartition(".")[2]
    return text.removeprefix("!")
