"""What every `Parser` must do. Subclass `ParserContract` in a test module and give it a parser and a document."""

import pytest

from ragstone.core.errors import IngestError, NoText
from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.core.ports import Parser


class ParserContract:
    """Run on every entry of the parsers' table. `parser` and `document` are fixtures of the subclass: a fresh parser,
    and a document that has a heading, several paragraphs and characters beyond ASCII."""

    @pytest.fixture
    def parsed(self, parser: Parser, document: bytes) -> ParsedDocument:
        """The document, parsed."""
        return parser.parse(document)

    def test_blocks_are_in_order_and_do_not_overlap(self, parsed: ParsedDocument) -> None:
        """They can be cut and packed in one pass."""
        assert parsed.blocks
        bounds = [
            0,
            *(bound for block in parsed.blocks for bound in (block.start, block.end)),
            len(parsed.text),
        ]
        assert bounds == sorted(bounds)
        assert all(block.start < block.end for block in parsed.blocks)

    def test_blocks_hold_all_of_the_text(self, parsed: ParsedDocument) -> None:
        """Between blocks there is white space only."""
        ends = [0, *(block.end for block in parsed.blocks)]
        starts = [*(block.start for block in parsed.blocks), len(parsed.text)]
        gaps = [parsed.text[end:start] for end, start in zip(ends, starts, strict=True)]
        assert not "".join(gaps).strip()

    def test_no_block_ends_in_white_space(self, parsed: ParsedDocument) -> None:
        """Quotes are spans of blocks."""
        for block in parsed.blocks:
            assert not parsed.text[block.end - 1].isspace()

    def test_path_of_a_heading_ends_with_itself(self, parsed: ParsedDocument) -> None:
        """And the blocks below have the same path."""
        for block in parsed.blocks:
            if block.kind is BlockKind.HEADING:
                assert parsed.text[block.start : block.end].startswith(block.heading[-1])

    def test_text_is_storable_everywhere(self, parsed: ParsedDocument) -> None:
        """UTF-8 without NUL, line ends are `\\n`."""
        assert parsed.text.encode().decode() == parsed.text
        assert not set(parsed.text) & {"\0", "\r", "\x1b", "\u2028"}

    def test_parsing_is_deterministic(self, parser: Parser, document: bytes) -> None:
        """Running a job again gives the same offsets."""
        assert parser.parse(document) == parser.parse(document)


class TextParserContract(ParserContract):
    """Besides, for formats that are text themselves."""

    def test_encoding_is_recorded(self, parsed: ParsedDocument) -> None:
        """The guess, if it was one, can be looked up."""
        assert parsed.encoding

    @pytest.mark.parametrize("content", [b"", b" \n\t\r\n ", "\u200b\ufeff\u00a0".encode(), b"\0\0"])
    def test_document_without_text_is_refused(self, parser: Parser, content: bytes) -> None:
        """`ready` with nothing to find would be a lie."""
        with pytest.raises(NoText):
            parser.parse(content)

    @pytest.mark.parametrize("cut", [1, 2, 3, 7, 50])
    def test_damaged_document_gives_some_text(self, parser: Parser, document: bytes, cut: int) -> None:
        """Bytes that are lost or wrong spoil their own place only."""
        damaged = document[: len(document) // 2] + b"\xff\xfe\x00" + document[len(document) // 2 + cut :]
        assert parser.parse(damaged).text.strip()


class BinaryParserContract(ParserContract):
    """Besides, for formats with a structure that can break."""

    @pytest.mark.parametrize("content", [b"", b" \n\t\r\n ", b"\0\0", b"no such format at all"])
    def test_what_is_no_such_document_is_refused(self, parser: Parser, content: bytes) -> None:
        """By name, not by a crash."""
        with pytest.raises(IngestError):
            parser.parse(content)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
    def test_a_document_that_was_cut_off_gives_some_text_or_is_refused(
        self, parser: Parser, document: bytes, share: float
    ) -> None:
        """As much as can be had, never a crash."""
        try:
            parsed = parser.parse(document[: int(len(document) * share)])
        except IngestError:
            return
        assert parsed.text.strip() or parsed.children

    @pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
    def test_a_damaged_document_gives_some_text_or_is_refused(
        self, parser: Parser, document: bytes, place: float
    ) -> None:
        """Likewise where bytes in the middle are wrong."""
        at = int(len(document) * place)
        try:
            parsed = parser.parse(document[:at] + b"\xff\xfe\x00\x01" + document[at + 4 :])
        except IngestError:
            return
        assert parsed.text.strip() or parsed.children
