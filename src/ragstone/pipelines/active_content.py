"""Markdown of an answer that would load, link or run something is made text, as it streams.

A tag loses its `<`. A link, an image or a definition is parted by a blank: `] (`, `] :`. Nothing else is changed.
What stays: links and images to a host that the operator allows, links to a `#fragment`, and the colon after a
citation mark that cannot begin a definition.
"""

import re
from collections.abc import Set as AbstractSet

LONGEST_DESTINATION = 2_048  # characters from the parenthesis on; a longer one is not allowed
_CONTEXT = 256  # characters looked back on to tell whether a mark stands inside a line

# `<` that begins a tag or may do so, and what makes a bracketed text more than that.
_ACTIVE = re.compile(r"<(?=[A-Za-z/!?]|\Z)|(?<=\])[(:]")

_URL = r"[A-Za-z0-9._~:/?#@!$&*+,;=%-]"
_DESTINATION = re.compile(rf"https?://([A-Za-z0-9._-]+(?::\d{{1,5}})?)(?:[/?#]{_URL}*+)?\)", re.I)
_BEGUN_DESTINATION = re.compile(rf"(?:h|ht|htt|https?|https?:|https?:/|https?://{_URL}*+)?\Z", re.I)

_MARK_AT_END = re.compile(r"\[\d{1,4}\]\Z")
_WORD = re.compile(r"[^\W\d_]{2,}+(?![\w.)])")  # not the number of an item: `iv.`, `ab)`


class Neutraliser:
    """Feed it an answer in pieces; what it returns is safe to show. However the text is cut, the whole is the same.

    `link_hosts` are hosts as URLs have them, with the port if it is not the usual one."""

    def __init__(self, link_hosts: AbstractSet[str] = frozenset()):
        self._link_hosts = frozenset(host.lower() for host in link_hosts)
        self._before = ""
        self._held = ""

    def feed(self, piece: str) -> str:
        """As much as can be told: at most a `<` or `(` is held back, or a destination that may be allowed."""
        if self._held or "<" in piece or "]" in piece or self._before[-1:] == "]":
            return self._read(piece, is_last=False)
        self._before += piece
        if len(self._before) > 4 * _CONTEXT:
            self._before = self._before[-_CONTEXT:]
        return piece

    def finish(self) -> str:
        """What was held back, once no more can come."""
        return self._read("", is_last=True)

    def _read(self, piece: str, *, is_last: bool) -> str:
        text = self._before + self._held + piece
        done = len(self._before)
        parts: list[str] = []
        for found in _ACTIVE.finditer(text, done):
            shown = self._shown(text, found.start(), is_last=is_last)
            parts.append(text[done : found.start()])
            done = found.start()
            if shown is None:
                break
            parts.append(shown)
            done += 1
        else:
            parts.append(text[done:])
            done = len(text)
        self._before, self._held = text[max(0, done - _CONTEXT) : done], text[done:]
        return "".join(parts)

    def _shown(self, text: str, at: int, *, is_last: bool) -> str | None:
        """What stands for the character at `at`; None if that depends on what follows."""
        if text[at] == ":":
            return ":" if _cites_within_a_line(text[max(0, at - _CONTEXT) : at]) else " :"
        if text[at] == "<":
            if at + 1 < len(text):
                return "&lt;"
            return "<" if is_last else None
        is_allowed = self._is_allowed(text, at + 1)
        if is_allowed is None and not is_last:
            return None
        return "(" if is_allowed else " ("

    def _is_allowed(self, text: str, at: int) -> bool | None:
        """Whether the destination that begins at `at` may be linked; None if it is not all there."""
        if at == len(text) or text[at] == "#":
            return True if at < len(text) else None
        if not self._link_hosts:
            return False
        whole = _DESTINATION.match(text, at, at + LONGEST_DESTINATION)
        if whole is not None:
            return whole[1].lower() in self._link_hosts
        is_begun = len(text) - at < LONGEST_DESTINATION and _BEGUN_DESTINATION.match(text, at) is not None
        return None if is_begun else False


def neutralise(text: str, link_hosts: AbstractSet[str] = frozenset()) -> str:
    """The whole text at once."""
    neutraliser = Neutraliser(link_hosts)
    return neutraliser.feed(text) + neutraliser.finish()


def revealed(text: str) -> str:
    """Neutralised or not, the same text: for comparing an answer with its sources, never for showing."""
    if "]" not in text and "&lt;" not in text:
        return text
    return text.replace("&lt;", "<").replace("] (", "](").replace("] :", "]:")


def _cites_within_a_line(before: str) -> bool:
    """Whether the text ends with a citation mark that has words before it on its line: that defines nothing."""
    mark = _MARK_AT_END.search(before, max(0, len(before) - 6))
    if mark is None:
        return False
    line = f"{before[: mark.start()]}|".splitlines()[-1]
    return _WORD.search(line) is not None
