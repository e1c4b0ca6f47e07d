import pytest

from ragstone.core.errors import Encrypted, NoText, ParseFailed, UnsafeArchive, UnsafeXml
from ragstone.core.models import Location, ParsedDocument
from ragstone.parsers.sheets import WorkbookParser
from tests.spreadsheets import Raw, Rows, column_name, ods, ole, xls, xlsx

PEOPLE: Rows = [["Name", "Age"], ["Ann", 31], ["Bo", 42]]


def parse(content: bytes) -> ParsedDocument:
    return WorkbookParser().parse(content)


def texts(content: bytes) -> list[str]:
    parsed = parse(content)
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


class TestSheets:
    def test_each_row_says_what_its_cells_are(self) -> None:
        assert texts(xlsx({"People": PEOPLE})) == ["People", "Name: Ann | Age: 31", "Name: Bo | Age: 42"]

    def test_sheets_are_headings_beside_each_other(self) -> None:
        parsed = parse(xlsx({"One": [["a"]], "Two": [["b"]]}))
        assert [(block.heading, block.location) for block in parsed.blocks] == [
            (("One",), Location(sheet="One")),
            (("One",), Location(sheet="One")),
            (("Two",), Location(sheet="Two")),
            (("Two",), Location(sheet="Two")),
        ]

    @pytest.mark.parametrize("state", ["hidden", "veryHidden"])
    def test_hidden_sheets_are_left_out(self, state: str) -> None:
        content = xlsx({"Shown": [["yes"]], "Secret": [["no"]]}, states={"Secret": state})
        assert texts(content) == ["Shown", "yes"]

    def test_empty_sheets_leave_no_heading(self) -> None:
        assert texts(xlsx({"Empty": [], "Blank": [[" "]], "Full": [["x"]]})) == ["Full", "x"]

    def test_workbook_without_text_is_refused(self) -> None:
        with pytest.raises(NoText):
            parse(xlsx({"Empty": []}))

    def test_title_is_the_authors_or_none(self) -> None:
        core = '<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>R &amp; D</dc:title></c>'
        assert parse(xlsx({"Sheet1": [["x"]]})).title is None
        assert parse(xlsx({"Sheet1": [["x"]]}, members={"docProps/core.xml": core})).title == "R & D"


class TestCells:
    @pytest.mark.parametrize(
        ("cell", "shown"),
        [
            (3.0, "3"),
            (-0.5, "-0.5"),
            (0.30000000000000004, "0.3"),
            (1e300, "1e+300"),
            (123456789012345, "123456789012345"),
            (True, "TRUE"),
            (False, "FALSE"),
            ("  two\n lines ", "two lines"),
            (Raw('s="1"', "<v>45000</v>"), "2023-03-15"),
            (Raw('s="2"', "<v>45000.5</v>"), "2023-03-15 12:00"),
            (Raw('s="2"', "<v>45000.99999999</v>"), "2023-03-16"),
            (Raw('s="3"', "<v>1.25</v>"), "30:00:00"),
            (Raw('s="5"', "<v>0.5</v>"), "12:00"),
            (Raw("", "<f>6*7</f><v>42</v>"), "42"),
            (Raw('t="str"', '<f>"a"&amp;"b"</f><v>ab</v>'), "ab"),
        ],
    )
    def test_cell_reads_as_its_sheet_shows_it(self, cell: str | float | Raw, shown: str) -> None:
        assert texts(xlsx({"S": [[cell]]})) == ["S", shown]

    def test_what_is_merged_over_rows_stands_in_each(self) -> None:
        rows: Rows = [["Region", "City", "People"], ["North", "A", 1], ["", "B", 2], ["", "C", 3]]
        assert texts(xlsx({"S": rows}, merged={"S": ["A2:A3"]}))[1:] == [
            "Region: North | City: A | People: 1",
            "Region: North | City: B | People: 2",
            "City: C | People: 3",
        ]

    def test_a_sheet_that_begins_further_down_keeps_its_merges(self) -> None:
        rows: Rows = [[], [], ["", "Region", "People"], ["", "North", 1], ["", "", 2]]
        content = xlsx({"S": rows}, merged={"S": ["B4:B5"]})
        assert texts(content)[1:] == ["Region: North | People: 1", "Region: North | People: 2"]

    def test_merged_header_stands_before_the_columns_below_it(self) -> None:
        rows: Rows = [["Name", "2024", ""], ["", "Q1", "Q2"], ["Ann", 1, 2], ["Bo", 3, 4]]
        content = xlsx({"S": rows}, merged={"S": ["A1:A2", "B1:C1"]})
        assert texts(content)[1] == "Name: Ann | 2024 Q1: 1 | 2024 Q2: 2"


class TestOtherFormats:
    def test_ods(self) -> None:
        assert texts(ods({"People": PEOPLE, "Off": [["no"]]}, hidden=["Off"])) == [
            "People",
            "Name: Ann | Age: 31",
            "Name: Bo | Age: 42",
        ]

    def test_xls(self) -> None:
        assert texts(xls([["Näme", "Age"], ["Ann", 31.0]])) == ["Sheet1", "Näme: Ann | Age: 31"]


class TestHostile:
    def test_bomb_is_refused(self) -> None:
        with pytest.raises(UnsafeArchive):
            parse(xlsx({"S": PEOPLE}, members={"xl/media/big.bin": "0" * 40_000_000}))

    def test_document_type_is_refused(self) -> None:
        entity = '<!DOCTYPE x [<!ENTITY a "aaaa">]><sst>&a;</sst>'
        with pytest.raises(UnsafeXml):
            parse(xlsx({"S": PEOPLE}, members={"xl/sharedStrings.xml": entity}))

    def test_password_is_named(self) -> None:
        with pytest.raises(Encrypted):
            parse(ole({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}))

    @pytest.mark.parametrize("content", [ole({"WordDocument": b"x"}), b"PK\x03\x04", b"Name;Age"])
    def test_what_is_no_workbook_is_refused(self, content: bytes) -> None:
        with pytest.raises(ParseFailed):
            parse(content)

    def test_broken_sheet_is_refused_without_its_content(self) -> None:
        with pytest.raises(ParseFailed, match="damaged") as caught:
            parse(xlsx({"S": PEOPLE}, members={"xl/worksheets/sheet1.xml": "<sheetData><c r='CANARY'>"}))
        assert "CANARY" not in str(caught.value)

    def test_rows_beyond_all_sheets_are_refused(self) -> None:
        sheet = '<worksheet><sheetData><row r="3567587319"><c r="A3567587319"><v>1</v></c></row></sheetData></worksheet>'
        with pytest.raises(ParseFailed, match="rows"):
            parse(xlsx({"S": PEOPLE}, members={"xl/worksheets/sheet1.xml": sheet}))

    def test_wide_sheets_are_read(self) -> None:
        header: list[str | int] = [f"column {column_name(c)}" for c in range(16_384)]
        found = texts(xlsx({"S": [header, list(range(16_384))]}))
        assert found[1].startswith("column A: 0 | column B: 1 | ")
        assert found[1].endswith(" | column XFD: 16383")
