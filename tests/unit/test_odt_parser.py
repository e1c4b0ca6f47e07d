import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.core.errors import Encrypted, NoText, ParseFailed, ParseLimit, UnsafeArchive, UnsafeXml
from ragstone.core.models import ParsedDocument
from ragstone.parsers.odt import OdtParser
from tests.containers import zipped
from tests.office_files import odt, odt_parts


def parse(body: str, *, styles: str = "", title: str = "") -> ParsedDocument:
    return OdtParser().parse(odt(body, styles=styles, title=title))


def blocks(body: str, styles: str = "") -> list[tuple[str, str]]:
    parsed = parse(body, styles=styles)
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


def text(body: str, styles: str = "") -> str:
    return parse(body, styles=styles).text


def p(shown: str, style: str = "") -> str:
    return f'<text:p text:style-name="{style}">{shown}</text:p>'


def style(name: str, *, parent: str = "", inside: str = "", family: str = "paragraph") -> str:
    return f'<style:style style:name="{name}" style:family="{family}" style:parent-style-name="{parent}">{inside}</style:style>'


HIDDEN = '<style:text-properties text:display="none"/>'
NUMBERED = (
    '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")" text:display-levels="2"/>'
    "</text:list-style>"
)


def items(*shown: str, attributes: str = 'text:style-name="L"') -> str:
    inside = "".join(f"<text:list-item>{one}</text:list-item>" for one in shown)
    return f"<text:list {attributes}>{inside}</text:list>"


class TestStructure:
    def test_headings_by_their_level(self) -> None:
        parsed = parse(
            "<text:h text:outline-level='1'>A</text:h><text:h text:outline-level='2'>B</text:h>"
            f"{p('x')}<text:h text:outline-level='10'>C</text:h>"
        )
        assert [block.heading for block in parsed.blocks] == [("A",), ("A", "B"), ("A", "B"), ("A", "B", "C")]

    def test_title_is_the_paragraph_in_title_style(self) -> None:
        parsed = parse(p("Intro") + p("The Title", "P1"), styles=style("P1", parent="Title"), title="Stale")
        assert parsed.title == "The Title"

    def test_title_of_the_properties(self) -> None:
        assert parse(p("x"), title="Annual Report").title == "Annual Report"
        assert parse(p("x"), title="Untitled 1").title is None

    def test_lists_with_numbers(self) -> None:
        inner = items(p("b"), p("c"), attributes="")
        body = items(p("a") + inner, p("d") + p("more")) + items(p("e")) + p("-")
        assert blocks(body, NUMBERED)[0] == (
            "list",
            "1. a\n  1.a) b\n  1.b) c\n2. d\n   more\n1. e",
        )

    def test_list_that_goes_on(self) -> None:
        goes_on = items(p("b"), attributes='text:style-name="L" text:continue-numbering="true"')
        assert text(items(p("a")) + p("between") + goes_on, NUMBERED) == "1. a\n\nbetween\n\n2. b"

    def test_list_without_style_has_bullets(self) -> None:
        header = "<text:list><text:list-header><text:p>head</text:p></text:list-header></text:list>"
        assert blocks(items(p("a"), p("b")) + header) == [("list", "- a\n- b"), ("paragraph", "head")]

    def test_tables_have_a_line_for_each_row(self) -> None:
        inner = "<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table>"
        body = (
            "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>A</text:p><text:p>B</text:p>"
            "</table:table-cell><table:covered-table-cell/><table:table-cell><text:p>C</text:p></table:table-cell>"
            "</table:table-row></table:table-header-rows><table:table-row><table:table-cell>"
            f"{items(p('one'), p('two'))}</table:table-cell><table:table-cell>{p('see')}{inner}</table:table-cell></table:table-row>"
            "</table:table>"
        )
        assert blocks(p("before") + body + p("after")) == [
            ("paragraph", "before"),
            ("table", "A B |  | C\none; two | see; x"),
            ("paragraph", "after"),
        ]

    def test_listings_keep_their_lines(self) -> None:
        body = p("def f():", "P1") + p("<text:s text:c='4'/>return 1", "P1")
        assert blocks(body, style("P1", parent="Preformatted_20_Text")) == [
            ("code", "def f():\n    return 1")
        ]


class TestParagraphs:
    @pytest.mark.parametrize(
        ("inside", "shown"),
        [
            ("a<text:span>b</text:span>c", "abc"),
            ("a <text:a>link</text:a>,", "a link,"),
            ("a<text:s/>b<text:tab/>c<text:line-break/>d", "a b c\nd"),
            ("a<text:soft-page-break/>b\u00adc", "abc"),
            ("a<text:bookmark/>b<office:annotation><text:p>secret</text:p></office:annotation>c", "abc"),
            ("a<text:hidden-text>secret</text:hidden-text>b", "ab"),
            ("a<text:span text:style-name='H'>secret</text:span>b", "ab"),
            (
                "<text:ruby><text:ruby-base>漢</text:ruby-base><text:ruby-text>kan</text:ruby-text></text:ruby>字",
                "漢字",
            ),
            ("a<draw:frame><draw:image/><svg:desc>secret</svg:desc></draw:frame>b", "ab"),
        ],
    )
    def test_what_is_shown_of_a_paragraph(self, inside: str, shown: str) -> None:
        assert text(p(inside), style("H", inside=HIDDEN, family="text")) == shown

    def test_notes_follow_the_paragraph_that_refers_to_them(self) -> None:
        note = "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>The note.</text:p></text:note-body></text:note>"
        assert text(p(f"a{note}b") + p("next")) == "ab\n\nThe note.\n\nnext"
        assert text(items(p(f"a{note}"), p("b"))) == "- a\n- b\n\nThe note."

    def test_boxes_follow_their_paragraph(self) -> None:
        box = "<draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame>"
        shape = "<draw:custom-shape><text:p>shape</text:p></draw:custom-shape>"
        assert text(p(f"a{box}b{shape}c") + p("next")) == "abc\n\nboxed\n\nshape\n\nnext"
        assert text(box + p("next")) == "boxed\n\nnext"

    @pytest.mark.parametrize(
        "hidden",
        [
            "<text:tracked-changes><text:changed-region><text:deletion><text:p>secret</text:p></text:deletion></text:changed-region></text:tracked-changes>",
            "<text:table-of-content><text:index-body><text:p>secret</text:p></text:index-body></text:table-of-content>",
            "<text:section text:display='none'><text:p>secret</text:p></text:section>",
            "<text:p text:style-name='H'>secret</text:p>",
        ],
    )
    def test_nobody_sees_it(self, hidden: str) -> None:
        assert text(p("before") + hidden + p("after"), style("H", inside=HIDDEN)) == "before\n\nafter"


_TAGS = str.split(
    "text:p text:h text:span text:list text:list-item text:list-header text:note text:section text:s table:table"
    " table:table-row table:table-cell table:covered-table-cell draw:text-box draw:rect office:annotation"
)


class TestHostile:
    def test_nothing_but_white_space_is_no_text(self) -> None:
        with pytest.raises(NoText):
            parse(p(" ") + p("<text:s text:c='999999999'/>"))

    def test_encrypted_document(self) -> None:
        manifest = (
            "<m:manifest xmlns:m='urn:m'><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>"
        )
        with pytest.raises(Encrypted):
            OdtParser().parse(
                zipped(odt_parts("") | {"content.xml": b"\x8f\x01", "META-INF/manifest.xml": manifest})
            )

    @pytest.mark.parametrize("part", ["content.xml", "styles.xml", "meta.xml"])
    def test_document_types_are_refused(self, part: str) -> None:
        parts = odt_parts(p("text"))
        parts[part] = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + str(parts.get(part, "<x/>"))
        with pytest.raises(UnsafeXml):
            OdtParser().parse(zipped(parts))

    def test_bomb_is_refused(self) -> None:
        with pytest.raises(UnsafeArchive):
            OdtParser().parse(zipped(odt_parts("") | {"Pictures/a": bytes(64 * 2**20)}))

    @pytest.mark.parametrize("parts", [{"a": "b"}, {"content.xml": "<a>"}])
    def test_damaged_documents_are_refused(self, parts: dict[str, str]) -> None:
        with pytest.raises(ParseFailed):
            OdtParser().parse(zipped(parts))

    def test_elements_in_elements_without_end_are_refused(self) -> None:
        with pytest.raises(ParseLimit):
            parse("<text:section>" * 400 + "</text:section>" * 400)

    @settings(max_examples=60, deadline=None)
    @given(
        st.recursive(
            st.sampled_from(["text", " "]),
            lambda inner: st.lists(st.tuples(st.sampled_from(_TAGS), inner), max_size=4),
            max_leaves=40,
        )
    )
    def test_any_nesting_of_elements_ends_well(self, tree: object) -> None:
        assert "end" in text(_xml(tree) + p("end"))  # notes come last


def _xml(tree: object) -> str:
    if isinstance(tree, str):
        return tree
    assert isinstance(tree, list)
    return "".join(f"<{tag}>{_xml(inner)}</{tag}>" for tag, inner in tree)
