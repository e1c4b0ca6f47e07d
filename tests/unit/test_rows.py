from hypothesis import given
from hypothesis import strategies as st

from ragstone.core.models import BlockKind
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import Allowance
from ragstone.parsers.rows import RowWriter

Rows = list[list[str]]


def written(rows: Rows, *, is_header_expected: bool = False) -> list[tuple[BlockKind, str]]:
    writer = BlockWriter()
    table = RowWriter(writer, Allowance(1_000_000), is_header_expected=is_header_expected)
    for row in rows:
        table.add(row)
    table.close()
    if writer.is_empty:
        return []
    parsed = writer.finish(title=None)
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def lines(table: str, *, is_header_expected: bool = False) -> list[str]:
    """What becomes of a table that is drawn with bars."""
    rows = [[cell.strip() for cell in line.split("|")] for line in table.strip("\n").split("\n")]
    return [text for _, text in written(rows, is_header_expected=is_header_expected)]


class TestHeader:
    def test_words_above_numbers_are_one(self) -> None:
        assert lines("name|age\nAnn|31\nBo|42") == ["name: Ann | age: 31", "name: Bo | age: 42"]

    def test_numbers_above_numbers_are_none(self) -> None:
        assert lines("Ann|31\nBo|42", is_header_expected=True) == ["Ann | 31", "Bo | 42"]

    def test_years_above_amounts_are_one(self) -> None:
        assert lines("|2023|2024\nRent|10|12\nFood|5|6")[1] == "Food | 2023: 5 | 2024: 6"

    def test_years_above_years_are_none(self) -> None:
        assert lines("1999|2001\n2003|2004\n2005|2007")[0] == "1999 | 2001"

    def test_words_that_come_again_below_are_none(self) -> None:
        assert lines("Rome|Italy\nOslo|Norway\nBari|Italy", is_header_expected=True)[0] == "Rome | Italy"

    def test_words_above_words_are_one_where_it_is_expected(self) -> None:
        table = "city|country\nRome|Italy\nOslo|Norway"
        assert lines(table, is_header_expected=True) == [
            "city: Rome | country: Italy",
            "city: Oslo | country: Norway",
        ]

    def test_three_columns_of_words_have_one(self) -> None:
        assert (
            lines("city|country|river\nRome|Italy|Tiber")[0] == "city: Rome | country: Italy | river: Tiber"
        )

    def test_a_form_has_none(self) -> None:
        assert lines("Name|Ann Other\nCompany|Acme\nTown|Rome")[0] == "Name | Ann Other"
        assert lines("Name:|Ann\nAge:|31\nSize:|170")[0] == "Name: | Ann"

    def test_questions_and_answers_have_one(self) -> None:
        table = "Question|Answer\nHow do I reset it?|Hold the button.\nWhere is the manual kept?|Online."
        assert lines(table)[0] == "Question: How do I reset it? | Answer: Hold the button."

    def test_a_name_that_is_a_question_needs_no_colon(self) -> None:
        assert lines("id|Paid?\n1|TRUE\n2|FALSE")[0] == "id: 1 | Paid? TRUE"

    def test_long_names_are_shortened_in_the_rows_and_stand_once_in_full(self) -> None:
        name = "how satisfied are you " * 5
        found = lines(f"id|{name}\n1|4\n2|5")
        assert found[0] == f"id | {name.strip()}"
        assert found[1].startswith("id: 1 | how satisfied")
        assert found[1].endswith("…: 4")

    def test_the_name_of_an_empty_column_is_not_lost(self) -> None:
        assert lines("id|size|note\n1|4|\n2|5|")[:2] == ["id | size | note", "id: 1 | size: 4"]

    def test_two_rows_of_one_are_joined(self) -> None:
        found = lines("|2024||2025|\nRegion|Q1|Q2|Q1|Q2\nNorth|1|2|3|4\nSouth|5|6|7|8")
        assert found[1] == "Region: South | 2024 Q1: 5 | 2024 Q2: 6 | 2025 Q1: 7 | 2025 Q2: 8"

    def test_a_header_alone_is_a_row(self) -> None:
        assert lines("name|age", is_header_expected=True) == ["name | age"]


class TestTables:
    def test_empty_cells_are_left_out(self) -> None:
        assert lines("name|age|town\nAnn||Rome\n|31|")[:2] == ["name: Ann | town: Rome", "age: 31"]

    def test_cells_beyond_the_header_stand_alone(self) -> None:
        assert lines("name|age\nAnn|31|x\nBo|42")[0] == "name: Ann | age: 31 | x"

    def test_titles_are_paragraphs(self) -> None:
        found = written([["Sales 2024", ""], ["", "draft"], ["town", "sum"], ["Rome", "1"], ["Oslo", "2"]])
        assert found[:3] == [
            (BlockKind.PARAGRAPH, "Sales 2024"),
            (BlockKind.PARAGRAPH, "draft"),
            (BlockKind.TABLE, "town: Rome | sum: 1"),
        ]

    def test_a_blank_row_begins_another_table(self) -> None:
        assert lines("name|age\nAnn|31\n|\ntown|people\nRome|3")[1] == "town: Rome | people: 3"

    def test_a_table_goes_on_after_a_blank_row(self) -> None:
        assert lines("name|age\nAnn|31\n|\nBo|42\nCy|53")[1:] == ["name: Bo | age: 42", "name: Cy | age: 53"]

    def test_tables_beside_each_other_are_read_one_by_one(self) -> None:
        assert lines("name|age||town|people\nAnn|31||Rome|3\nBo|42||Oslo|1") == [
            "name: Ann | age: 31",
            "name: Bo | age: 42",
            "town: Rome | people: 3",
            "town: Oslo | people: 1",
        ]

    def test_an_empty_column_does_not_part_a_table(self) -> None:
        assert lines("cost||2023|2024\nRent||10|12\nFood||5|6")[0] == "cost: Rent | 2023: 10 | 2024: 12"

    def test_one_column_of_words_is_text(self) -> None:
        assert written([["Notes"], ["First thing."], ["Second thing."]]) == [
            (BlockKind.PARAGRAPH, "Notes"),
            (BlockKind.PARAGRAPH, "First thing."),
            (BlockKind.PARAGRAPH, "Second thing."),
        ]

    def test_a_row_of_prose_is_a_paragraph(self) -> None:
        found = written([["id", "text"], ["1", "A sentence. " * 100], ["2", "short"]])
        assert [kind for kind, _ in found] == [BlockKind.PARAGRAPH, BlockKind.TABLE]

    def test_long_tables_keep_their_header(self) -> None:
        rows = [["id", "name"], *([str(n), f"name {n}"] for n in range(2_000))]
        found = written(rows)
        assert len(found) == 2_000
        assert found[-1][1] == "id: 1999 | name: name 1999"


CELLS = st.text(alphabet="ab1 ;:?2024é", max_size=6).map(lambda text: " ".join(text.split()))


@given(st.lists(st.lists(CELLS, max_size=6), max_size=12), st.booleans())
def test_every_cell_is_in_the_text(rows: Rows, is_header_expected: bool) -> None:
    text = "\n".join(text for _, text in written(rows, is_header_expected=is_header_expected))
    for row in rows:
        for cell in row:
            assert cell in text
