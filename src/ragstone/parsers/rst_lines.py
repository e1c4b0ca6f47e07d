"""Where runs of lines end in reStructuredText, and what a line is by those around it."""

import re
from collections.abc import Sequence

ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*\s*\Z")
SHORTEST_ADORNMENT = 4  # under a longer title; else the title's length is enough
ITEM = re.compile(
    r"(?P<mark>[-*+•]|(?:\d{1,9}|#|[A-Za-z]|[ivxlc]{1,6})[.)]|\((?:\d{1,9}|#|[A-Za-z])\))(?:\s+(?=\S)|\Z)"
)


def before_code(text: str) -> str:
    """`text::` shows one colon, `text ::` none."""
    text = text.removesuffix("::")
    return text.rstrip() if not text or text[-1].isspace() else f"{text}:"


def underlines(lines: Sequence[str], at: int) -> bool:
    """Whether this line is a title: a line of one mark stands below."""
    below = lines[at + 1] if at + 1 < len(lines) else ""
    return (
        len(below) >= SHORTEST_ADORNMENT
        and ADORNMENT.match(below) is not None
        and len(below) >= len(lines[at])
    )


def is_item(lines: Sequence[str], at: int) -> bool:
    """A paragraph that begins like an item goes on in the next line without indentation."""
    below = lines[at + 1] if at + 1 < len(lines) else ""
    return not below or below[0] == " " or ITEM.match(below) is not None


def run_end(lines: Sequence[str], at: int) -> int:
    """The first blank line from `at` on."""
    while at < len(lines) and lines[at]:
        at += 1
    return at


def indented_end(lines: Sequence[str], at: int) -> int:
    """The line after those that are indented or blank, from `at` on; blank ones at the end do not count."""
    end = at
    while at < len(lines) and (not lines[at] or lines[at][0] == " "):
        at += 1
        if lines[at - 1]:
            end = at
    return end


def next_text(lines: Sequence[str], at: int) -> int:
    """The first line from `at` on that is not blank."""
    while at < len(lines) and not lines[at]:
        at += 1
    return at


def dedented(lines: Sequence[str], most: int | None = None) -> list[str]:
    """Without the indentation that all have in common; of it, `most` at the most."""
    indent = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    indent = indent if most is None else min(indent, most)
    return [line[indent:] for line in lines]
