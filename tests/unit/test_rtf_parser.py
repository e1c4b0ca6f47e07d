import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.core.errors import IngestError, ParseFailed, ParseLimit
from ragstone.core.models import ParsedDocument
from ragstone.parsers.rtf import RtfParser

FONTS = r"{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset204 B;}{\f2\fcharset128 J;}}"
STYLES = r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 Foo;}{\s2 heading 2;}{\s3 Title;}{\*\cs4 Char;}}"


def parse(body: str) -> ParsedDocument:
    return RtfParser().parse(f"{{\\rtf1\\ansi\\ansicpg1252\\deff0{FONTS}{STYLES}{body}}}".encode("cp1252"))


def blocks(body: str) -> list[tuple[str, str]]:
    parsed = parse(body)
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


class TestCharacters:
    @pytest.mark.parametrize(
        ("source", "text"),
        [
            (r"Gr\'f6\'dfe", "Größe"),
            ("Größe", "Größe"),
            (r"\u28450?\u-10179?\u-8704?!", "漢😀!"),
            (r"{\uc2\u8364 EU}{\uc0\u8364}x", "€€x"),
            (r"\u8364\'80x", "€x"),
            (r"{\f1 \'ef\'f0} \'ef", "пр ï"),
            (r"{\f2 \'83A\'83\'42}", "アィ"),
            (r"a\~b\_c\-d\{\}\\ \emdash  \lquote x\rquote\tab y", "a b‑cd{}\\ — ‘x’ y"),
            (r"a{\b b}{\i c}d", "abcd"),
            ("one\r\ntwo", "onetwo"),
        ],
    )
    def test_are_read_in_every_encoding(self, source: str, text: str) -> None:
        assert parse(source).text.replace("\xa0", " ") == text


class TestStructure:
    def test_headings_by_style_and_outline(self) -> None:
        parsed = parse(
            r"\pard\s3 Book\par\pard\s2 Part\par\pard\s0 text\par\pard\outlinelevel2 Deep\par\pard x\par"
        )
        assert parsed.title == "Book"
        assert [block.heading for block in parsed.blocks] == [
            ("Book",),
            ("Book", "Part"),
            ("Book", "Part"),
            ("Book", "Part", "Deep"),
            ("Book", "Part", "Deep"),
        ]

    def test_title_of_the_information_goes_first(self) -> None:
        assert parse(r"{\info{\title My \u220?ber}{\author X}}\pard\s1 Head\par x").title == "My Über"

    def test_items_come_together(self) -> None:
        source = r"a\par{\listtext\pard\'b7\tab}one\par\pard\ilvl1{\pntext 2.\tab}two\par\pard b\par"
        assert blocks(source) == [("paragraph", "a"), ("list", "- one\n  2. two"), ("paragraph", "b")]

    def test_rows_come_together(self) -> None:
        source = r"\trowd\intbl a\cell b\par c\cell\row\intbl 1\cell\cell\row\pard after\par"
        assert blocks(source) == [("table", "a | b c\n1 |"), ("paragraph", "after")]

    def test_notes_and_boxes_follow_their_paragraph(self) -> None:
        source = r"text{\footnote\pard A note} goes on{\shp{\*\shpinst{\sn x}{\shptxt box\par}}{\shprslt box}}\par next"
        assert [text for _, text in blocks(source)] == ["text goes on", "A note", "box", "next"]

    def test_links_show_their_text(self) -> None:
        source = (
            r'see {\field{\*\fldinst HYPERLINK "http://secret"}{\fldrslt here}}, {\upr{a}{\*\ud{\u252?b}}}'
        )
        assert parse(source).text == "see here, üb"

    def test_what_is_not_shown_is_no_text(self) -> None:
        source = (
            r"a{\v hidden}{\deleted gone}{\header top}{\*\unknown x}{\*\bkmkstart y}{\annotation z}"
            r"{\pict\wmetafile8 0102ff}{\object{\*\objdata 00ff}{\result shown}}{\pict\bin4 }}}}}b"
        )
        assert parse(source).text == "ashownb"


class TestHostile:
    @pytest.mark.parametrize("content", [b"", b"{\\rt", b"text", b"{\\html1 x}"])
    def test_what_is_no_rtf_is_refused(self, content: bytes) -> None:
        with pytest.raises(ParseFailed):
            RtfParser().parse(content)

    def test_groups_without_end(self) -> None:
        with pytest.raises(ParseLimit):
            parse("{" * 1_000_000)
        assert parse("{" * 5_000 + "deep").text == "deep"

    def test_groups_closed_too_often_end_the_document(self) -> None:
        assert parse("a}}}}b").text == "a"

    @pytest.mark.parametrize(
        "piece",
        [
            r"{\field{\*\fldinst{ HYPERLINK }}}",
            r"\a",
            r"\u300?",
            r"\'e4",
            r"\f1 x\f0 y",
            r"{\footnote x}",
            "\\",
        ],
    )
    def test_time_is_linear(self, piece: str) -> None:
        def seconds(count: int) -> float:
            start = time.process_time()
            parse("x" + piece * count)
            return time.process_time() - start

        assert seconds(80_000) < 5 * seconds(20_000) + 0.5

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                str.split(
                    r"{ } \ \* \u-1 \u99999999 \uc-5 \bin99999999 \bin-1 \f9 \ansicpg0 \ansicpg99 \cell \row \intbl \par \pard"
                    r" \listtext \footnote \info{\title \stylesheet \s1 \outlinelevel99 \outlinelevel-9 \v \'ff \'8 \fonttbl x"
                    r" \fcharset128 \ilvl-4 \ilvl99999 \shp \shptxt \ud \plain é"
                )
            ),
            max_size=40,
        )
    )
    def test_whatever_comes_is_read_or_refused(self, tokens: list[str]) -> None:
        try:
            parse("".join(tokens))
        except IngestError:
            return
