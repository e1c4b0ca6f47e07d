"""PDF: reading order, pages, headings, running lines, scripts from the right, and files that are not what they should be."""

import contextlib
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.core.errors import Encrypted, IngestError, NoText, ParseFailed, ParseLimit
from ragstone.core.models import Block, BlockKind, ParsedDocument
from ragstone.parsers.pdf import PdfParser
from tests.pdf_writer import Bookmark, PdfFile, Text, write_content, write_images, write_pdf

WORDS = str.split("lorem ipsum dolor sit amet magna elit sed diam nonummy nibh euismod")


def parse(pages: Sequence[list[Text]], **options: object) -> ParsedDocument:
    return PdfParser().parse(write_pdf(pages, **options))  # type: ignore[arg-type]


def column(lines: Sequence[str], *, x: float = 72, y: float = 700, size: float = 10) -> list[Text]:
    return [Text(line, x=x, y=y - 12 * index, size=size) for index, line in enumerate(lines)]


def prose(count: int, seed: int, *, words: int = 6) -> list[str]:
    """Lines that fit into a column, or with more words into a page."""
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=words))[: words * 6].strip() for _ in range(count)]


def texts(parsed: ParsedDocument) -> list[str]:
    return [text_of(parsed, block) for block in parsed.blocks]


def text_of(parsed: ParsedDocument, block: Block) -> str:
    return parsed.text[block.start : block.end]


class TestParagraphs:
    def test_lines_become_one_paragraph(self) -> None:
        lines = ["The first line of a paragraph that", "goes on in the second line, and in", "the third."]
        assert texts(parse([column(lines)])) == [" ".join(lines)]

    def test_gap_divides_paragraphs(self) -> None:
        first = column(["The first line of a paragraph that", "goes on in the second line."])
        second = column(["Another one begins below a gap and", "ends in its own second line."], y=664)
        assert len(texts(parse([first + second]))) == 2

    def test_indented_line_begins_a_paragraph(self) -> None:
        lines = column(["A paragraph whose lines are filled up", "to the very end of all its lines here"])
        indented = Text("Indented, the next one begins with", x=84, y=676)
        last = Text("no gap in between, and goes on so.", y=664)
        assert len(texts(parse([[*lines, indented, last]]))) == 2

    @pytest.mark.parametrize(
        ("first", "second", "joined"),
        [("compi-", "lation", "compilation"), ("Trace-", "Monkey", "Trace-Monkey")],
    )
    def test_hyphen_goes_if_the_word_goes_on_in_lower_case(
        self, first: str, second: str, joined: str
    ) -> None:
        parsed = parse([column([f"This is about the way of {first}", f"{second} in a browser of today."])])
        assert joined in parsed.text

    def test_ligatures_and_accents_are_letters(self) -> None:
        line = Text("e\ue000cient ﬁle \u00a8uber", unicode=True)
        assert parse([[line]], meanings={"\ue000": "ffi"}).text == "efficient file über"

    def test_characters_beyond_the_basic_plane_survive(self) -> None:
        assert parse([[Text("a \ue000 b", unicode=True)]], meanings={"\ue000": "😀"}).text == "a 😀 b"

    def test_items_become_a_list(self) -> None:
        lines = ["• the first of the items", "• the second one of them", "• the third"]
        (block,) = (parsed := parse([column(lines)])).blocks
        assert (block.kind, text_of(parsed, block)) == (BlockKind.LIST, "\n".join(lines))

    def test_short_lines_of_an_address_stay_lines(self) -> None:
        lines = ["Ragstone Limited Company", "Stone Street 1", "1234 Town", "Somewhere"]
        assert texts(parse([column(lines)])) == ["\n".join(lines)]

    def test_korean_is_read(self) -> None:
        parsed = parse([[Text("한국어 문장입니다", unicode=True)]])
        assert parsed.text == "한국어 문장입니다"

    def test_text_outside_of_the_page_is_not_read(self) -> None:
        assert parse([[Text("seen"), Text("crop mark", y=-20)]]).text == "seen"


class TestTables:
    def test_rows_without_borders_stay_rows(self) -> None:
        rows = [["Product", "Price", "Stock"], ["Bolt", "1.20", "450"], ["Nut", "0.80", "12"]]
        cells = [
            Text(cell, x=72 + 120 * place, y=700 - 20 * number)
            for number, row in enumerate(rows)
            for place, cell in enumerate(row)
        ]
        (block,) = (parsed := parse([cells])).blocks
        assert block.kind is BlockKind.TABLE
        assert text_of(parsed, block) == "\n".join(" | ".join(row) for row in rows)


class TestReadingOrder:
    LEFT = (*prose(11, 1), "here the sentence crosses over to")
    RIGHT = ("the next column where it ends.", *prose(11, 2))
    CROSSING = "here the sentence crosses over to the next column where it ends."

    def test_sentence_across_columns_is_contiguous(self) -> None:
        page = column(self.LEFT) + column(self.RIGHT, x=320)
        assert self.CROSSING in parse([page]).text

    def test_columns_drawn_line_by_line_are_read_one_after_the_other(self) -> None:
        pairs = zip(column(self.LEFT), column(self.RIGHT, x=320), strict=True)
        assert self.CROSSING in parse([[text for pair in pairs for text in pair]]).text

    def test_columns_drawn_in_the_wrong_order_are_read_from_the_left(self) -> None:
        page = column(self.RIGHT, x=320) + column(self.LEFT)
        assert self.CROSSING in parse([page]).text

    def test_title_across_columns_comes_first(self) -> None:
        title = Text("A title that stands across both of the columns", y=740, size=18)
        page = [*column(self.LEFT), *column(self.RIGHT, x=320), title]
        parsed = parse([page])
        assert parsed.text.startswith(title.text)
        assert self.CROSSING in parsed.text

    def test_note_below_a_column_does_not_interrupt_the_sentence(self) -> None:
        note = column(["This is a note in small print."], y=540, size=7)
        parsed = parse([column(self.LEFT) + note + column(self.RIGHT, x=320)])
        assert self.CROSSING in parsed.text
        assert texts(parsed)[-1] == "This is a note in small print."

    @settings(max_examples=20, deadline=None)
    @given(st.permutations(range(8)))
    def test_order_of_drawing_does_not_matter_for_paragraphs(self, order: list[int]) -> None:
        drawn = [
            Text(f"Paragraph {number} of this page stands here.", y=740 - 60 * number) for number in order
        ]
        assert texts(parse([drawn])) == [
            f"Paragraph {number} of this page stands here." for number in range(8)
        ]

    @pytest.mark.parametrize("matrix", ["0 1 -1 0 {up} 99", "0 -1 1 0 {down} 600", "-1 0 0 -1 500 {up}"])
    def test_pages_whose_lines_are_turned_are_read_like_others(self, matrix: str) -> None:
        lines = ["The first line of a text that runs", "another way, and its second line", "and a third."]
        shown = "".join(
            f"BT /F1 10 Tf {matrix.format(up=99 + 12 * index, down=300 - 12 * index)} Tm ({line}) Tj ET\n"
            for index, line in enumerate(lines)
        )
        assert PdfParser().parse(write_content(shown.encode())).text == " ".join(lines)

    def test_stamp_on_the_margin_comes_last(self) -> None:
        shown = (
            b"BT /F1 10 Tf 0 1 -1 0 30 99 Tm (A stamp) Tj ET BT /F1 10 Tf 72 700 Td (The text of it.) Tj ET"
        )
        assert texts(PdfParser().parse(write_content(shown))) == ["The text of it.", "A stamp"]


class TestScriptsFromTheRight:
    def test_arabic_is_in_logical_order(self) -> None:
        assert "مرحبا بالعالم" in parse([[Text("مرحبا بالعالم"[::-1], unicode=True)]]).text

    def test_ligature_of_lam_and_alef_is_not_turned_around(self) -> None:
        drawn = Text("خ\ue000ل"[::-1], unicode=True)  # one glyph in the middle
        assert parse([[drawn]], meanings={"\ue000": "لا"}).text == "خلال"

    def test_shapes_of_letters_are_letters(self) -> None:
        assert parse([[Text("\ufefc\ufee3", unicode=True)]]).text == "ملا"

    def test_hebrew_is_in_logical_order(self) -> None:
        assert parse([[Text("שלום עולם"[::-1], unicode=True)]]).text == "שלום עולם"


class TestPages:
    def test_blocks_know_their_page(self) -> None:
        parsed = parse([[Text("One page.")], [Text("Two pages.")]])
        assert [(block.location.page, block.location.page_end) for block in parsed.blocks] == [
            (1, None),
            (2, None),
        ]
        assert parsed.pages == 2

    def test_paragraph_that_runs_on_is_one_block(self) -> None:
        parsed = parse([[Text("A sentence that does not end on its")], [Text("page but on the next.")]])
        (block,) = parsed.blocks
        assert (block.location.page, block.location.page_end) == (1, 2)
        assert parsed.text == "A sentence that does not end on its page but on the next."

    @pytest.mark.parametrize(
        ("before", "after"),
        [("It ends.", "and not."), ("Breaks off", "New one"), ("Breaks off", "• an item")],
    )
    def test_what_does_not_clearly_run_on_is_two_blocks(self, before: str, after: str) -> None:
        assert texts(parse([[Text(before)], [Text(after)]])) == [before, after]

    def test_paragraph_runs_on_past_a_note(self) -> None:
        first = [*column([*prose(5, 3), "the sentence goes on over"]), Text("1 A note.", y=100, size=7)]
        parsed = parse([first, [Text("the page break.")]])
        assert "the sentence goes on over the page break." in parsed.text
        assert [block.location.page for block in parsed.blocks] == [1, 1]

    def test_empty_pages_are_counted(self) -> None:
        assert parse([[], [Text("Text.")], []]).pages == 3


class TestRunningLines:
    @staticmethod
    def pages(count: int, header: str, footer: str) -> list[list[Text]]:
        return [
            [Text(header, y=760), *column(prose(5, page), y=700), Text(footer.format(page + 1), y=40)]
            for page in range(count)
        ]

    @pytest.mark.parametrize("footer", ["{}", "Page {} of 12", "- {} -"])
    def test_headers_and_page_numbers_are_left_out(self, footer: str) -> None:
        parsed = parse(self.pages(12, "The handbook", footer))
        assert "handbook" not in parsed.text
        assert not any(character.isdigit() for character in parsed.text)
        assert all(" ".join(prose(5, page)) in " ".join(parsed.text.split()) for page in range(12))

    def test_header_that_changes_with_the_chapter_goes_by_its_number(self) -> None:
        pages = [
            [Text(f"Chapter {page // 2}: {WORDS[page // 2]} {page + 5}", y=760), *column(prose(5, page))]
            for page in range(10)
        ]
        assert "Chapter" not in parse(pages).text

    def test_two_pages_are_not_enough(self) -> None:
        assert parse(self.pages(2, "The handbook", "{}")).text.count("The handbook") == 2

    def test_numbers_that_do_not_count_pages_stay(self) -> None:
        numbers = [7, 19, 3, 11, 4]
        pages = [
            [*column(prose(3, page)), Text(f"Sold: {number}", y=40)] for page, number in enumerate(numbers)
        ]
        assert all(f"Sold: {number}" in parse(pages).text for number in numbers)

    def test_pages_that_hold_nothing_else_keep_it(self) -> None:
        assert parse([[Text("Confidential")]] * 4).text.count("Confidential") == 4

    def test_head_of_a_table_that_comes_again_stays(self) -> None:
        pages = [column(["Name of it Price of it", *prose(4, page)]) for page in range(5)]
        assert parse(pages).text.count("Name of it") == 5


class TestBookmarks:
    PAGES = (
        [Text("Opening words."), Text("1 Introduction", y=650, size=14), Text("First text.", y=620)],
        [Text("1.1 Scope", size=12), Text("Second text.", y=670)],
        [Text("Third text.")],
    )
    BOOKMARKS = (
        Bookmark("Introduction", 1, [Bookmark("1.1  Scope", 2)]),
        Bookmark("Not on the page", 3),
    )

    def test_they_become_headings_where_their_lines_stand(self) -> None:
        parsed = parse(self.PAGES, bookmarks=self.BOOKMARKS)
        found = [(block.heading, block.location.page, text_of(parsed, block)) for block in parsed.blocks]
        introduction, scope = "1 Introduction", "1.1 Scope"
        assert found == [
            ((), 1, "Opening words."),
            ((introduction,), 1, introduction),
            ((introduction,), 1, "First text."),
            ((introduction, scope), 2, scope),
            ((introduction, scope), 2, "Second text."),
            (("Not on the page",), 3, "Not on the page"),
            (("Not on the page",), 3, "Third text."),
        ]

    def test_title_over_two_lines_is_one_heading(self) -> None:
        page = [
            *column(["A title that is so long that it", "needs two lines"], size=10),
            Text("Text.", y=600),
        ]
        parsed = parse([page], bookmarks=[Bookmark("A title that is so long that it needs two lines", 1)])
        assert texts(parsed)[0] == "A title that is so long that it needs two lines"

    def test_bookmark_does_not_become_the_title(self) -> None:
        assert parse(self.PAGES, bookmarks=self.BOOKMARKS).title is None

    def test_bookmarks_in_a_circle_end(self) -> None:
        file = PdfFile()
        tree = file.add()
        page = file.add(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>")
        file.put(tree, b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % page)
        file.add(b"<< /First 5 0 R /Last 5 0 R >>")
        file.add(b"<< /Title (Round) /Parent 4 0 R /Next 5 0 R /First 4 0 R /Dest [3 0 R /Fit] >>")
        file.put(1, b"<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>")
        assert "Round" in PdfParser().parse(file.written()).text


class TestTitle:
    @pytest.mark.parametrize("title", ["Annual report", "Größe", "C++ in 21 days"])
    def test_it_is_what_the_document_says(self, title: str) -> None:
        assert parse([[Text("Text.")]], title=title).title == title

    @pytest.mark.parametrize(
        "title",
        [
            "",
            " ",
            "Microsoft Word - report.doc",
            "report_final.docx",
            "untitled",
            "(anonymous)",
            "Slide 1",
            "2024-01",
        ],
    )
    def test_names_of_files_are_no_titles(self, title: str) -> None:
        assert parse([[Text("Text.")]], title=title).title is None


class TestRefusals:
    def test_user_password_is_told(self) -> None:
        with pytest.raises(Encrypted):
            parse([[Text("Secret.")]], user_password="open sesame")

    def test_empty_user_password_opens(self) -> None:
        parsed = parse([[Text("Not so secret.")]], user_password="", title="Protected")
        assert (parsed.text, parsed.title) == ("Not so secret.", "Protected")

    def test_images_only_are_told_apart(self) -> None:
        with pytest.raises(NoText, match=r"only pictures of its pages.*tesseract"):
            PdfParser().parse(write_images(2))

    def test_nothing_at_all_does_not_speak_of_images(self) -> None:
        with pytest.raises(NoText, match="no text"):
            parse([[], []])

    def test_damaged_references_are_repaired(self) -> None:
        content = write_pdf([[Text("Still here.")]])
        assert PdfParser().parse(content.replace(b"startxref\n", b"startxref\n9")).text == "Still here."

    @pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"%PDF-1.7\n%%EOF", b"\0" * 5_000])
    def test_what_cannot_be_read_is_told(self, content: bytes) -> None:
        with pytest.raises(ParseFailed):
            PdfParser().parse(content)

    def test_too_many_pages_are_named(self) -> None:
        with pytest.raises(ParseLimit, match="20001 pages; at most 20000"):
            PdfParser().parse(write_tree(20_001))

    def test_too_many_characters_on_a_page_are_named(self) -> None:
        with pytest.raises(ParseLimit, match="page 1 holds"):
            PdfParser().parse(
                write_content(b"BT /F1 1 Tf 9 9 Td " + (b"(%b) Tj " % (b"word " * 5_000)) * 20 + b"ET")
            )

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
    def test_damage_anywhere_gives_text_or_a_refusal(self, place: int, noise: bytes) -> None:
        content = bytearray(write_pdf([column(prose(3, 1))] * 2, bookmarks=[Bookmark("Title", 2)]))
        at = place % len(content)
        content[at : at + len(noise)] = noise
        with contextlib.suppress(IngestError):
            assert PdfParser().parse(bytes(content)).text


def write_tree(count: int) -> bytes:
    """That many empty pages, all of them the same object."""
    file = PdfFile()
    tree = file.add()
    page = file.add(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>")
    kids = b" ".join([b"%d 0 R" % page] * count)
    file.put(tree, b"<< /Type /Pages /Count %d /Kids [%b] >>" % (count, kids))
    file.put(1, b"<< /Type /Catalog /Pages 2 0 R >>")
    return file.written()


MEASURE = """
import sys
from collections.abc import Sequence
from pathlib import Path
from ragstone.parsers.pdf import PdfParser
from ragstone.parsers.worker import peak_bytes
parsed = PdfParser().parse(Path(sys.argv[1]).read_bytes())
print(peak_bytes(), parsed.pages)
"""


class TestMemory:
    def test_a_thousand_pages_add_little(self, tmp_path: Path) -> None:
        small, large = (self.peak(tmp_path, pages) for pages in (10, 1_000))
        assert large - small < 48 * 2**20

    @staticmethod
    def peak(folder: Path, pages: int) -> int:
        path = folder / f"{pages}.pdf"
        path.write_bytes(write_pdf([column(prose(50, page, words=12)) for page in range(pages)]))
        output = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path)], check=True, capture_output=True, text=True
        ).stdout
        peak, counted = map(int, output.split())
        assert counted == pages
        return peak
