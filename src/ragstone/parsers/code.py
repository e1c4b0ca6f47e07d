"""Source code: the text as it stands, in blocks that blank lines separate, indentation kept."""

from ragstone.core.models import Block, BlockKind, ParsedDocument
from ragstone.parsers.decoding import decode, require_text
from ragstone.parsers.text import paragraphs


class CodeParser:
    """Implements `Parser` for text/x-source. Lines are never taken for sentences."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText."""
        decoded = decode(content)
        require_text(decoded.text)
        blocks = tuple(
            Block(BlockKind.CODE, decoded.text.rfind("\n", 0, start) + 1, end)
            for start, end in paragraphs(decoded.text)
        )
        return ParsedDocument(decoded.text, blocks, encoding=decoded.encoding)
