from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.text import TextParser


def blocks(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def test_blank_lines_separate_paragraphs() -> None:
    parsed = TextParser().parse(b"\n\n One\nstill one \n\t\n\n  \nTwo\n")
    assert blocks(parsed) == ["One\nstill one", "Two"]
    assert {block.kind for block in parsed.blocks} == {BlockKind.PARAGRAPH}


def test_text_stays_as_it_is_written() -> None:
    parsed = TextParser().parse("  Grüße,\r\n  Welt  \r\n".encode("latin-1"))
    assert parsed.text == "  Grüße,\n  Welt  \n"
    assert (parsed.title, parsed.encoding, parsed.pages) == (None, "cp1252", None)


def test_line_of_a_megabyte_is_one_paragraph() -> None:
    parsed = TextParser().parse(b"word " * 200_000)
    assert [(block.start, block.end) for block in parsed.blocks] == [(0, 999_999)]
