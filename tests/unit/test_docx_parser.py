import io

import docx as python_docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.core.errors import NoText, ParseFailed, ParseLimit, UnsafeArchive, UnsafeXml
from ragstone.core.models import Location, ParsedDocument
from ragstone.parsers.docx import DocxParser
from ragstone.parsers.worker import peak_bytes
from tests.containers import zipped
from tests.office_files import docx, docx_parts, paragraph


def parse(body: str, *, title: str = "", **parts: str) -> ParsedDocument:
    return DocxParser().parse(docx(body, title=title, **parts))


def blocks(body: str, **parts: str) -> list[tuple[str, str]]:
    parsed = parse(body, **parts)
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


def text(body: str, **parts: str) -> str:
    return parse(body, **parts).text


def style(style_id: str, name: str, inside: str = "", based_on: str = "") -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="{style_id}"><w:name w:val="{name}"/>'
        f'<w:basedOn w:val="{based_on}"/>{inside}</w:style>'
    )


def styled(style_id: str) -> str:
    return f'<w:pStyle w:val="{style_id}"/>'


def table(*rows: str) -> str:
    return f"<w:tbl><w:tblPr/>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def cell(*paragraphs: str, properties: str = "") -> str:
    inside = "".join(one if one.startswith("<") else paragraph(one) for one in paragraphs)
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inside}</w:tc>"


class TestHeadings:
    def test_builtin_names_count_whatever_the_ids_are(self) -> None:
        styles = style("berschrift1", "heading 1") + style("Titre2", "Heading 2")
        parsed = parse(
            paragraph("Teil", styled("berschrift1")) + paragraph("Punkt", styled("Titre2")) + paragraph("x"),
            styles=styles,
        )
        assert [block.heading for block in parsed.blocks] == [("Teil",), ("Teil", "Punkt"), ("Teil", "Punkt")]
        assert {block.location for block in parsed.blocks} == {Location()}

    def test_outline_level_of_a_style_is_inherited(self) -> None:
        styles = style("A", "Chapter", "<w:pPr><w:outlineLvl w:val='2'/></w:pPr>") + style(
            "B", "Mine", based_on="A"
        )
        assert blocks(paragraph("Here", styled("B")), styles=styles) == [("heading", "Here")]

    def test_outline_level_of_body_text_is_none(self) -> None:
        styles = style("H", "heading 1")
        properties = styled("H") + "<w:outlineLvl w:val='9'/>"
        assert blocks(paragraph("text", properties), styles=styles) == [("paragraph", "text")]

    def test_styles_based_on_each_other_end(self) -> None:
        styles = style("A", "a", based_on="B") + style("B", "b", based_on="A")
        assert blocks(paragraph("text", styled("A")), styles=styles) == [("paragraph", "text")]

    def test_long_text_with_an_outline_level_is_text(self) -> None:
        assert blocks(paragraph("word " * 200, "<w:outlineLvl w:val='0'/>"))[0][0] == "paragraph"

    def test_title_is_the_paragraph_in_title_style(self) -> None:
        body = paragraph("Intro") + paragraph("The Title", styled("T"))
        assert parse(body, title="From a template", styles=style("T", "Title")).title == "The Title"

    @pytest.mark.parametrize(
        "useless", ["", "Untitled", "Microsoft Word - draft.doc", "Document1", "report.docx"]
    )
    def test_title_that_a_program_wrote_is_none(self, useless: str) -> None:
        assert parse(paragraph("text"), title=useless).title is None

    def test_title_of_the_properties(self) -> None:
        assert parse(paragraph("text"), title="Annual Report 2024").title == "Annual Report 2024"


def level(index: int, number_format: str, shown: str) -> str:
    return f'<w:lvl w:ilvl="{index}"><w:start w:val="1"/><w:numFmt w:val="{number_format}"/><w:lvlText w:val="{shown}"/></w:lvl>'


NUMBERING = (
    f'<w:abstractNum w:abstractNumId="0">{level(0, "decimal", "%1.")}{level(1, "lowerLetter", "%2)")}'
    f'{level(2, "upperRoman", "%1.%3")}</w:abstractNum>'
    f'<w:abstractNum w:abstractNumId="1">{level(0, "bullet", "*")}</w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
    '<w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num>'
)


def item(shown: str, number_id: int, depth: int = 0) -> str:
    return paragraph(shown, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number_id}"/></w:numPr>')


class TestLists:
    def test_items_are_counted_as_word_does(self) -> None:
        body = (
            item("a", 1)
            + item("b", 1, 1)
            + item("c", 1, 1)
            + item("d", 1, 2)
            + item("e", 1)
            + item("f", 1, 1)
        )
        assert blocks(body, numbering=NUMBERING) == [
            ("list", "1. a\n  a) b\n  b) c\n    1.I d\n2. e\n  a) f")
        ]

    def test_list_goes_on_after_a_paragraph_and_another_starts_anew(self) -> None:
        body = item("a", 1) + paragraph("between") + item("b", 1) + item("c", 3) + item("d", 3)
        assert text(body, numbering=NUMBERING) == "1. a\n\nbetween\n\n2. b\n7. c\n8. d"

    def test_bullets_and_items_without_a_list(self) -> None:
        body = item("a", 2) + item("b", 0) + item("c", 99)
        assert blocks(body, numbering=NUMBERING) == [("list", "- a"), ("paragraph", "b"), ("paragraph", "c")]

    def test_numbers_of_headings_are_shown(self) -> None:
        numbered = '<w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr>'
        styles = style("H", "heading 1", numbered)
        body = paragraph("Scope", styled("H")) + paragraph("Terms", styled("H"))
        assert text(body, styles=styles, numbering=NUMBERING) == "1. Scope\n\n2. Terms"

    @pytest.mark.parametrize("depth", [-5, 9, 10**30])
    def test_levels_that_do_not_exist(self, depth: int) -> None:
        assert "a" in text(item("a", 1, depth), numbering=NUMBERING)


class TestTables:
    def test_a_line_for_each_row(self) -> None:
        body = table(cell("Name") + cell("Value"), cell("a", "b") + cell("1"), cell("") + cell(""))
        assert blocks(body) == [("table", "Name | Value\na b | 1")]

    def test_merged_cells_are_shown_once_and_columns_stay(self) -> None:
        wide, top, below = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
        body = table(
            cell("wide", properties=wide) + cell("c"),
            cell("tall", properties=top) + cell("b") + cell("c"),
            cell("tall", properties=below) + cell("b") + cell("c"),
        )
        assert text(body) == "wide |  | c\ntall | b | c\n| b | c"

    def test_list_and_nested_table_in_a_cell_stay_in_its_line(self) -> None:
        inner = table(cell("a") + cell("b"), cell("c") + cell("d"))
        body = table(cell(item("one", 2), item("two", 2)) + cell("see:", inner, "end"))
        assert blocks(body, numbering=NUMBERING) == [("table", "one; two | see: a, b; c, d; end")]

    def test_rows_around_whole_texts_are_layout(self) -> None:
        heading = paragraph("Skills", "<w:outlineLvl w:val='0'/>")
        body = table(cell("Photo") + cell(heading, "word " * 300, table(cell("a") + cell("b"))))
        assert [kind for kind, _ in blocks(body)] == ["paragraph", "heading", "paragraph", "table"]

    def test_box_of_one_cell_is_its_paragraphs(self) -> None:
        assert blocks(table(cell("Note", "Take care."))) == [
            ("paragraph", "Note"),
            ("paragraph", "Take care."),
        ]

    def test_deleted_rows_are_gone(self) -> None:
        body = (
            f"<w:tbl><w:tr>{cell('a')}</w:tr><w:tr><w:trPr><w:del/></w:trPr>{cell('secret')}</w:tr></w:tbl>"
        )
        assert text(body) == "a"

    def test_order_of_paragraphs_and_tables(self) -> None:
        assert (
            text(paragraph("1") + table(cell("2")) + paragraph("3") + table(cell("4"))) == "1\n\n2\n\n3\n\n4"
        )

    def test_rows_and_cells_inside_content_controls(self) -> None:
        row = f"<w:sdt><w:sdtContent><w:tr>{cell('a')}<w:sdt><w:sdtContent>{cell('b')}</w:sdtContent></w:sdt></w:tr></w:sdtContent></w:sdt>"
        assert text(f"<w:sdt><w:sdtContent><w:tbl>{row}</w:tbl></w:sdtContent></w:sdt>") == "a | b"


def run(inside: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr>{inside}</w:r>"


class TestParagraphs:
    @pytest.mark.parametrize(
        ("inside", "shown"),
        [
            ("<w:r><w:t>one</w:t></w:r><w:r><w:t xml:space='preserve'> two</w:t></w:r>", "one two"),
            ("<w:r><w:t>Donau</w:t><w:softHyphen/><w:t>dampf\u00adschiff</w:t></w:r>", "Donaudampfschiff"),
            (
                "<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r>",
                "a b\nc-d",
            ),
            ("<w:hyperlink r:id='x'><w:r><w:t>link</w:t></w:r></w:hyperlink>", "link"),
            ("<w:r><w:t>x</w:t></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins>", "xnew"),
            ("<w:r><w:t>x</w:t></w:r><w:del><w:r><w:delText>secret</w:delText></w:r></w:del>", "x"),
            ("<w:r><w:t>x</w:t></w:r><w:moveFrom><w:r><w:t>secret</w:t></w:r></w:moveFrom>", "x"),
            ("<w:moveTo><w:r><w:t>here</w:t></w:r></w:moveTo>", "here"),
            (
                "<w:smartTag><w:sdt><w:sdtContent><w:r><w:t>deep</w:t></w:r></w:sdtContent></w:sdt></w:smartTag>",
                "deep",
            ),
            ("<w:fldSimple w:instr='DATE'><w:r><w:t>May</w:t></w:r></w:fldSimple>", "May"),
            (
                run("<w:fldChar w:fldCharType='begin'/>")
                + run("<w:instrText>IF x</w:instrText><w:t>secret</w:t>")
                + run("<w:fldChar w:fldCharType='separate'/>")
                + run("<w:t>result</w:t>")
                + run("<w:fldChar w:fldCharType='end'/>")
                + run("<w:t>!</w:t>"),
                "result!",
            ),
            (
                "<w:r><w:ruby><w:rt><w:r><w:t>kan</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase></w:ruby></w:r>",
                "漢",
            ),
            (
                "<m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f></m:oMath>",
                "a/b",
            ),
            (
                "<w:r><w:t>x</w:t></w:r><w:r><w:sym w:font='Symbol' w:char='F0B0'/><w:sym w:char='2192'/></w:r>",
                "x→",
            ),
        ],
    )
    def test_what_is_shown_of_a_paragraph(self, inside: str, shown: str) -> None:
        assert text(f"<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr>{inside}</w:p>") == shown
        assert text(f"<w:p>{inside}</w:p>") == shown

    @pytest.mark.parametrize(
        ("properties", "is_shown"),
        [
            ("<w:vanish/>", False),
            ("<w:vanish w:val='0'/>", True),
            ("<w:rStyle w:val='Hidden'/>", False),
            ("<w:rStyle w:val='Hidden'/><w:vanish w:val='false'/>", True),
            ("<w:webHidden/>", True),
        ],
    )
    def test_hidden_runs(self, properties: str, *, is_shown: bool) -> None:
        styles = '<w:style w:type="character" w:styleId="Hidden"><w:rPr><w:vanish/></w:rPr></w:style>'
        body = f"<w:p>{run('<w:t>seen</w:t>')}{run('<w:t> secret</w:t>', properties)}</w:p>"
        assert text(body, styles=styles) == ("seen secret" if is_shown else "seen")

    def test_paragraph_whose_end_was_deleted_goes_on(self) -> None:
        body = paragraph("one ", "<w:rPr><w:del/></w:rPr>") + paragraph("two") + paragraph("three")
        assert text(body) == "one two\n\nthree"

    def test_listings_keep_their_lines(self) -> None:
        styles = style("C", "HTML Preformatted")
        body = paragraph("def f():", styled("C")) + paragraph("    return 1", styled("C")) + paragraph("end")
        assert blocks(body, styles=styles) == [("code", "def f():\n    return 1"), ("paragraph", "end")]

    def test_table_of_contents_repeats_headings(self) -> None:
        link = "<w:hyperlink w:anchor='_Toc1'><w:r><w:t>Scope 3</w:t></w:r></w:hyperlink>"
        body = f"<w:p><w:pPr>{styled('V1')}</w:pPr>{link}</w:p>" + paragraph("by hand", styled("V1"))
        assert text(body, styles=style("V1", "toc 1")) == "by hand"

    def test_notes_follow_the_paragraph_that_refers_to_them(self) -> None:
        notes = (
            f"<w:footnote w:id='0' w:type='separator'>{paragraph('secret')}</w:footnote>"
            f"<w:footnote w:id='2'>{paragraph('The note.')}</w:footnote><w:footnote w:id='3'>{paragraph('Unused.')}</w:footnote>"
        )
        body = f"<w:p><w:r><w:t>text</w:t><w:footnoteReference w:id='2'/></w:r></w:p>{paragraph('next')}"
        assert text(body, footnotes=notes) == "text\n\nThe note.\n\nnext\n\nUnused."

    def test_notes_of_a_list_come_after_it(self) -> None:
        properties = "<w:numPr><w:ilvl w:val='0'/><w:numId w:val='2'/></w:numPr>"
        first = f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>a</w:t><w:endnoteReference w:id='1'/></w:r></w:p>"
        notes = f"<w:endnote w:id='1'>{paragraph('Note.')}</w:endnote>"
        assert text(first + item("b", 2), numbering=NUMBERING, endnotes=notes) == "- a\n- b\n\nNote."

    def test_notes_of_a_table_come_after_it(self) -> None:
        inside = "<w:p><w:r><w:t>a</w:t><w:footnoteReference w:id='1'/></w:r></w:p>"
        notes = f"<w:footnote w:id='1'>{paragraph('Note.')}</w:footnote>"
        body = item("x", 2) + table(cell(inside) + cell("b"))
        assert text(body, numbering=NUMBERING, footnotes=notes) == "- x\n\na | b\n\nNote."

    def test_text_boxes_come_once_after_their_paragraph(self) -> None:
        box = f"<w:txbxContent>{paragraph('boxed')}{table(cell('a') + cell('b'))}</w:txbxContent>"
        drawing = (
            f"<mc:AlternateContent><mc:Choice Requires='wps'><wps:txbx>{box}</wps:txbx></mc:Choice>"
            f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"
        )
        body = f"<w:p><w:r>{drawing}{drawing.replace('boxed', 'second')}<w:t>anchor</w:t></w:r></w:p>{paragraph('next')}"
        assert text(body) == "anchor\n\nboxed\n\na | b\n\nsecond\n\na | b\n\nnext"

    def test_text_box_that_only_old_programs_know(self) -> None:
        box = f"<w:pict><v:textbox><w:txbxContent>{paragraph('boxed')}</w:txbxContent></v:textbox></w:pict>"
        assert text(f"<w:p><w:r>{box}</w:r></w:p>") == "boxed"


class TestOtherProgramsAndVariants:
    def test_document_of_python_docx(self) -> None:
        document = python_docx.Document()
        document.core_properties.title = "Guide"
        document.add_heading("Install", 1)
        document.add_paragraph("Do this.", style="List Number")
        document.add_paragraph("Then that.", style="List Number")
        document.sections[0].header.paragraphs[0].text = "secret header"
        buffer = io.BytesIO()
        document.save(buffer)
        parsed = DocxParser().parse(buffer.getvalue())
        assert (parsed.title, parsed.text) == ("Guide", "Install\n\n1. Do this.\n2. Then that.")

    def test_strict_open_xml(self) -> None:
        parts = docx_parts(paragraph("text"))
        strict = {
            name: str(content).replace(
                "http://schemas.openxmlformats.org/wordprocessingml/2006/",
                "http://purl.oclc.org/ooxml/wordprocessingml/",
            )
            for name, content in parts.items()
        }
        assert DocxParser().parse(zipped(strict)).text == "text"

    def test_names_with_backslashes(self) -> None:
        parts = {name.replace("/", "\\"): content for name, content in docx_parts(paragraph("text")).items()}
        assert DocxParser().parse(zipped(parts)).text == "text"

    def test_diagrams_and_charts(self) -> None:
        parts = docx_parts(
            '<w:p><w:r><w:drawing><d:relIds xmlns:d="http://schemas.openxmlformats.org/drawingml/2006/diagram" r:dm="rId1"/>'
            "</w:drawing></w:r></w:p>" * 2,
            data="",
        )
        parts["word/data.xml"] = (
            '<d:dataModel xmlns:d="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
            ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><d:pt><d:t><a:p><a:r><a:t>Plan</a:t></a:r></a:p>'
            "</d:t></d:pt><d:pt><d:t><a:p><a:r><a:t>Do</a:t></a:r></a:p></d:t></d:pt></d:dataModel>"
        )
        assert DocxParser().parse(zipped(parts)).text == "- Plan\n- Do"


class TestHostile:
    def test_nothing_but_white_space_is_no_text(self) -> None:
        with pytest.raises(NoText):
            parse(paragraph(" \u00a0 ") + table(cell("")))

    def test_bomb_is_refused(self) -> None:
        with pytest.raises(UnsafeArchive):
            DocxParser().parse(zipped(docx_parts(paragraph("a")) | {"word/media/a.bin": bytes(64 * 2**20)}))

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    @pytest.mark.parametrize("part", ["word/document.xml", "_rels/.rels", "docProps/core.xml"])
    def test_document_types_are_refused(self, part: str, encoding: str) -> None:
        parts = docx_parts(paragraph("&x;"))
        source = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]>'
        parts[part] = (source + str(parts[part])).encode(encoding)
        with pytest.raises(UnsafeXml):
            DocxParser().parse(zipped(parts))

    def test_document_types_in_parts_with_other_names_are_refused(self) -> None:
        parts = docx_parts(paragraph("text"))
        parts["word/document.bin"] = '<!DOCTYPE x [<!ENTITY x "y">]>' + str(parts.pop("word/document.xml"))
        parts["_rels/.rels"] = str(parts["_rels/.rels"]).replace("document.xml", "document.bin")
        with pytest.raises(UnsafeXml):
            DocxParser().parse(zipped(parts))

    @pytest.mark.parametrize("part", ["word/document.xml", "word/styles.xml"])
    def test_inclusions_are_refused(self, part: str) -> None:
        parts = docx_parts(paragraph("before  after"), styles="")
        inclusion = (
            '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
        )
        parts[part] = str(parts[part]).replace("</w:", f"{inclusion}</w:", 1)
        with pytest.raises(UnsafeXml, match="include"):
            DocxParser().parse(zipped(parts))

    @pytest.mark.parametrize("inside", ["<!-- a comment -->", "<?an instruction?>"])
    def test_what_xml_says_to_programs_does_not_shorten_a_text(self, inside: str) -> None:
        parts = docx_parts(paragraph(f"before {inside}after"))
        assert DocxParser().parse(zipped(parts)).text == "before after"

    def test_external_relationships_and_paths_outside_are_not_followed(self) -> None:
        parts = docx_parts(paragraph("text"), footnotes="")
        parts["word/_rels/document.xml.rels"] = str(parts["word/_rels/document.xml.rels"]).replace(
            "footnotes.xml", "../../../../../etc/passwd"
        )
        assert DocxParser().parse(zipped(parts)).text == "text"

    def test_broken_xml_names_the_part(self) -> None:
        with pytest.raises(ParseFailed, match=r"word/document\.xml"):
            DocxParser().parse(zipped(docx_parts("<w:p>")))

    def test_tables_in_tables_without_end_are_refused(self) -> None:
        with pytest.raises(ParseLimit):
            parse("<w:tbl><w:tr><w:tc>" * 300 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 300)

    def test_other_archives_are_refused(self) -> None:
        with pytest.raises(ParseFailed, match="no office document"):
            DocxParser().parse(zipped({"a.txt": "text"}))

    @pytest.mark.parametrize("tag", ["w:tc", "w:tr", "w:txbxContent", "w:p", "mc:Fallback"])
    def test_elements_out_of_place_do_no_harm(self, tag: str) -> None:
        assert "after" in text(f"<{tag}>{paragraph('x')}</{tag}>{paragraph('after')}")

    @settings(max_examples=60, deadline=None)
    @given(
        st.recursive(
            st.sampled_from(["text", " "]),
            lambda inner: st.lists(
                st.tuples(
                    st.sampled_from(
                        [
                            "w:p",
                            "w:r",
                            "w:t",
                            "w:tbl",
                            "w:tr",
                            "w:tc",
                            "w:txbxContent",
                            "w:del",
                            "mc:Fallback",
                            "w:sdt",
                            "w:fldChar",
                        ]
                    ),
                    inner,
                ),
                max_size=4,
            ),
            max_leaves=40,
        )
    )
    def test_any_nesting_of_elements_ends_well(self, tree: object) -> None:
        try:
            parsed = parse(f"{_xml(tree)}{paragraph('end')}")
        except ParseFailed:
            return
        assert parsed.text.endswith("end")

    def test_paragraphs_are_forgotten_once_they_are_read(self) -> None:
        content = docx(paragraph("a") * 100_000)
        before = peak_bytes()
        assert len(DocxParser().parse(content).blocks) == 100_000
        assert peak_bytes() - before < 90 * 2**20  # the tree of the whole would take 150


def _xml(tree: object) -> str:
    if isinstance(tree, str):
        return tree
    assert isinstance(tree, list)
    return "".join(f"<{tag}>{_xml(inner)}</{tag}>" for tag, inner in tree)
