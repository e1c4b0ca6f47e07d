"""Plain text: the words stay as they stand, paragraphs are what blank lines separate."""

from collections.abc import Iterator

from ragstone.core.models import Block, BlockKind, ParsedDocument
from ragstone.parsers.decoding import decode, require_text


class TextParser:
    """Implements `Parser` for text/plain."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText."""
        decoded = decode(content)
        require_text(decoded.text)
        blocks = tuple(Block(BlockKind.PARAGRAPH, start, end) for start, end in paragraphs(decoded.text))
        return ParsedDocument(decoded.text, blocks, encoding=decoded.encoding)


def paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Spans of the runs of lines between blank lines, without the white space around them."""
    start = None
    last_end = line_start = 0
    for line in text.split("\n"):
        if line and not line.isspace():
            if start is None:
                start = line_start + len(line) - len(line.lstrip())
            last_end = line_start + len(line.rstrip())
        elif start is not None:
            yield start, last_end
            start = None
        line_start += len(line) + 1
    if start is not None:
        yield start, last_end
