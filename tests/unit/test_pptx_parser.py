import io
import zipfile
from collections.abc import Callable

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation as Deck
from pptx.slide import Slide
from pptx.util import Inches

from ragstone.core.errors import NoText, ParseFailed, UnsafeArchive, UnsafeXml
from ragstone.core.models import ParsedDocument
from ragstone.parsers.pptx import PptxParser
from tests.containers import zipped
from tests.slides import pptx, saved

TITLE_ONLY, BLANK = 5, 6


def parse(deck: Deck) -> ParsedDocument:
    return PptxParser().parse(saved(deck))


def blocks(parsed: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


def box(slide: Slide, text: str, left: float, top: float, height: float = 1.0) -> None:
    frame = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(2), Inches(height)).text_frame
    frame.text = text


@pytest.fixture
def deck() -> Deck:
    return Presentation()


@pytest.fixture
def slide(deck: Deck) -> Slide:
    added: Slide = deck.slides.add_slide(deck.slide_layouts[TITLE_ONLY])
    return added


def changed(deck: Deck, change: Callable[[str, str], str]) -> bytes:
    """The file with its slides' XML changed."""
    with zipfile.ZipFile(io.BytesIO(saved(deck))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zipped(
        {
            name: change(name, part.decode()) if name.endswith((".xml", ".rels")) else part
            for name, part in parts.items()
        }
    )


class TestSlides:
    def test_titles_are_headings_and_slides_are_counted(self) -> None:
        parsed = PptxParser().parse(pptx(("One", ["a", "b"]), ("Two", ["c"])))
        assert blocks(parsed) == [
            ("heading", "One"),
            ("list", "- a\n- b"),
            ("heading", "Two"),
            ("list", "- c"),
        ]
        assert [(block.location.slide, block.heading) for block in parsed.blocks] == [
            *((1, ("One",)), (1, ("One",)), (2, ("Two",)), (2, ("Two",)))
        ]

    def test_slide_without_title_stands_under_no_heading(self, deck: Deck, slide: Slide) -> None:
        assert slide.shapes.title is not None
        slide.shapes.title.text_frame.text = "First"
        box(deck.slides.add_slide(deck.slide_layouts[BLANK]), "text", 1, 1)
        assert parse(deck).blocks[-1].heading == ()

    def test_hidden_slides_are_read(self, deck: Deck, slide: Slide) -> None:
        box(slide, "backup", 1, 3)
        slide._element.set("show", "0")
        assert parse(deck).text == "backup"

    def test_order_is_that_of_the_presentation(self, deck: Deck) -> None:
        for text in ("first", "second"):
            box(deck.slides.add_slide(deck.slide_layouts[BLANK]), text, 1, 1)
        slides = deck.slides._sldIdLst
        slides.insert(0, slides[1])
        assert parse(deck).text == "second\n\nfirst"

    def test_title_of_the_properties(self, deck: Deck, slide: Slide) -> None:
        box(slide, "text", 1, 1)
        assert parse(deck).title is None  # python-pptx's template says "PowerPoint Presentation"
        deck.core_properties.title = "Strategy 2030"
        assert parse(deck).title == "Strategy 2030"

    def test_notes_come_after_their_slide(self, deck: Deck, slide: Slide) -> None:
        box(slide, "shown", 1, 3)
        frame = slide.notes_slide.notes_text_frame
        assert frame is not None
        frame.text = "Say this.\nAnd that."
        assert parse(deck).text == "shown\n\nNotes\n\nSay this.\n\nAnd that."


class TestReadingOrder:
    def test_title_first_then_rows_from_left_to_right(self, deck: Deck, slide: Slide) -> None:
        box(slide, "bottom", 0, 5)
        box(slide, "right", 5, 2)
        box(slide, "left", 1, 2.1)
        box(slide, "top", 9, 0)
        assert slide.shapes.title is not None
        slide.shapes.title.text_frame.text = "Title"
        assert parse(deck).text == "Title\n\ntop\n\nleft\n\nright\n\nbottom"

    def test_columns_beside_a_tall_one(self, deck: Deck, slide: Slide) -> None:
        box(slide, "second", 5, 1.0)
        box(slide, "third", 5, 2.2)
        box(slide, "tall", 1, 1.1, height=4)
        assert parse(deck).text == "tall\n\nsecond\n\nthird"

    def test_groups_stay_together(self, deck: Deck, slide: Slide) -> None:
        box(slide, "after", 1, 4)
        group = slide.shapes.add_group_shape()
        for text, top in (("low", 3), ("high", 2)):
            group.shapes.add_textbox(Inches(1), Inches(top), Inches(1), Inches(0.5)).text_frame.text = text
        assert parse(deck).text == "high\n\nlow\n\nafter"


class TestShapes:
    def test_tables_have_a_line_for_each_row(self, deck: Deck, slide: Slide) -> None:
        table = slide.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(4), Inches(2)).table
        for index, text in enumerate("abcdefghi"):
            table.cell(index // 3, index % 3).text = text
        table.cell(0, 0).merge(table.cell(0, 1))
        table.cell(1, 0).merge(table.cell(2, 0))
        assert blocks(parse(deck)) == [("table", "a b |  | c\nd g | e | f\n| h | i")]

    def test_charts_are_tables_of_their_numbers(self, deck: Deck, slide: Slide) -> None:
        chart_data = CategoryChartData()  # type: ignore[no-untyped-call]
        chart_data.categories = ["East", "West"]
        chart_data.add_series("2023", (1.5, 2))  # type: ignore[no-untyped-call]
        chart_data.add_series("2024", (3, 4))  # type: ignore[no-untyped-call]
        frame = slide.shapes.add_chart(
            XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(2), Inches(4), Inches(3), chart_data  # type: ignore[arg-type]
        )
        frame.chart.chart_title.text_frame.text = "Sales"  # type: ignore[attr-defined]
        assert blocks(parse(deck)) == [
            ("paragraph", "Sales"),
            ("table", "| 2023 | 2024\nEast | 1.5 | 3\nWest | 2 | 4"),
        ]

    def test_levels_numbers_and_breaks(self, deck: Deck, slide: Slide) -> None:
        box(slide, "a\nb\nc\nd\ve", 1, 3)
        numbered = "<a:pPr{}><a:buAutoNum type='{}'/></a:pPr>"
        properties = iter(
            (
                numbered.format("", "arabicPeriod"),
                numbered.format(" lvl='1'", "alphaLcParenR"),
                numbered.format("", "arabicPeriod"),
                "<a:pPr><a:buNone/></a:pPr>",
            )
        )

        def change(name: str, xml: str) -> str:
            if name != "ppt/slides/slide1.xml":
                return xml
            head, *rest = xml.split("<a:p><a:r>")
            return head + "".join(f"<a:p>{next(properties)}<a:r>{one}" for one in rest)

        parsed = PptxParser().parse(changed(deck, change))
        assert blocks(parsed) == [("list", "1. a\n  a. b\n2. c"), ("paragraph", "d\ne")]

    def test_what_every_slide_repeats_and_hidden_shapes_are_left_out(self, deck: Deck, slide: Slide) -> None:
        box(slide, "shown", 1, 1)
        box(slide, "secret", 1, 2)
        box(slide, "secret footer", 1, 3)

        def change(name: str, xml: str) -> str:
            if name != "ppt/slides/slide1.xml":
                return xml
            xml = xml.replace('name="TextBox 3"', 'name="TextBox 3" hidden="1"')
            head, tail = xml.rsplit("<p:nvPr/>", 1)
            return head + '<p:nvPr><p:ph type="ftr"/></p:nvPr>' + tail

        assert PptxParser().parse(changed(deck, change)).text == "shown"

    def test_alternatives_are_shown_once(self, deck: Deck, slide: Slide) -> None:
        box(slide, "shown", 1, 1)

        def change(name: str, xml: str) -> str:
            if name != "ppt/slides/slide1.xml":
                return xml
            start, end = xml.rindex("<p:sp>"), xml.rindex("</p:sp>") + len("</p:sp>")
            shape = xml[start:end]
            alternatives = (
                '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
                f"<mc:Choice Requires='x'>{shape}</mc:Choice><mc:Fallback>{shape}</mc:Fallback></mc:AlternateContent>"
            )
            return xml[:start] + alternatives + xml[end:]

        assert PptxParser().parse(changed(deck, change)).text == "shown"


class TestHostile:
    def test_slides_without_words_are_no_text(self, deck: Deck, slide: Slide) -> None:
        with pytest.raises(NoText):
            parse(deck)

    def test_document_types_are_refused(self, deck: Deck, slide: Slide) -> None:
        with pytest.raises(UnsafeXml):
            PptxParser().parse(changed(deck, lambda name, xml: f"<!DOCTYPE a>{xml[xml.index('?>') + 2 :]}"))

    def test_bomb_is_refused(self) -> None:
        with pytest.raises(UnsafeArchive):
            PptxParser().parse(zipped({"ppt/media/a.png": bytes(64 * 2**20)}))

    def test_broken_slide_is_named(self, deck: Deck, slide: Slide) -> None:
        with pytest.raises(ParseFailed, match=r"slide1\.xml"):
            PptxParser().parse(
                changed(deck, lambda name, xml: xml[:-9] if name.endswith("slide1.xml") else xml)
            )

    def test_missing_layouts_and_slides_are_done_without(self, deck: Deck, slide: Slide) -> None:
        box(slide, "text", 1, 1)
        box(deck.slides.add_slide(deck.slide_layouts[BLANK]), "lost", 1, 1)
        with zipfile.ZipFile(io.BytesIO(saved(deck))) as archive:
            kept = {
                name: archive.read(name)
                for name in archive.namelist()
                if "Layout" not in name and "slide2" not in name
            }
        assert PptxParser().parse(zipped(kept)).text == "text"

    def test_slide_that_is_named_a_thousand_times_is_read_once(self, deck: Deck, slide: Slide) -> None:
        box(slide, "text", 1, 1)

        def change(name: str, xml: str) -> str:
            if name != "ppt/presentation.xml":
                return xml
            start, end = xml.index("<p:sldId "), xml.index("</p:sldIdLst>")
            return xml[:start] + xml[start:end] * 1_000 + xml[end:]

        assert PptxParser().parse(changed(deck, change)).text == "text"

    def test_coordinates_beyond_all_bounds(self, deck: Deck, slide: Slide) -> None:
        box(slide, "text", 1, 1)
        parsed = PptxParser().parse(
            changed(deck, lambda name, xml: xml.replace('x="914400"', f'x="{"9" * 5000}"'))
        )
        assert parsed.text == "text"
