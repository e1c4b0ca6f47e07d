"""How much text a parser makes of a document before it gives up: a small file can hold a large table."""

from ragstone.core.errors import ParseLimit

# As many as the worker accepts; going on would only cost memory. Cells are not counted: empty ones cost next to
# nothing, and a header that is repeated with a million rows costs more than they do.
MOST_CHARACTERS = 50_000_000


class Allowance:
    """Counts the text that is made."""

    def __init__(self, characters: int = MOST_CHARACTERS):
        self._most = characters
        self._left = characters

    def take(self, text: str) -> str:
        """The text itself. Raises ParseLimit once there is too much of it."""
        self._left -= len(text)
        if self._left < 0:
            raise ParseLimit(f"the document holds more than {self._most} characters of text")
        return text
