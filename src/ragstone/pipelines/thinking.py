"""What a reasoning model thinks aloud in front of its answer, between `<think>` and `</think>`, is no answer."""

_OPENS, _CLOSES = "<think>", "</think>"


class ThinkingFilter:
    """Drops one block of thinking at the beginning of a text that comes in pieces, and the blanks behind it."""

    def __init__(self) -> None:
        self._read = self._opening
        self._held = ""

    def feed(self, piece: str) -> str:
        """As much as is known to belong to the answer."""
        return self._read(piece)

    def finish(self) -> str:
        """What was held back, once no more can come; thinking that never ended stays unsaid."""
        held = self._held if self._read == self._opening else ""
        self._held, self._read = "", _as_it_is
        return held

    def _opening(self, piece: str) -> str:
        self._held += piece
        begun = self._held.lstrip()
        if begun.startswith(_OPENS):
            self._held, self._read = "", self._thinking
            return self._thinking(begun.removeprefix(_OPENS))
        return "" if _OPENS.startswith(begun) else self.finish()

    def _thinking(self, piece: str) -> str:
        _, closes, answer = (self._held + piece).partition(_CLOSES)
        if closes:
            self._held, self._read = "", self._blanks
            return self._blanks(answer)
        self._held = (self._held + piece)[1 - len(_CLOSES) :]
        return ""

    def _blanks(self, piece: str) -> str:
        answer = piece.lstrip()
        if answer:
            self._read = _as_it_is
        return answer


def without_thinking(text: str) -> str:
    """The whole text at once."""
    thinking = ThinkingFilter()
    return thinking.feed(text) + thinking.finish()


def _as_it_is(piece: str) -> str:
    return piece
