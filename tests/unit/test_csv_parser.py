import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.csv import CsvParser, Dialect, find_dialect, records


def parse(source: str | bytes) -> ParsedDocument:
    return CsvParser().parse(source if isinstance(source, bytes) else source.encode())


def texts(source: str | bytes) -> list[str]:
    parsed = parse(source)
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


class TestDialect:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_delimiter_is_found(self, delimiter: str) -> None:
        assert texts(f"name{delimiter}age\nAnn{delimiter}31\n") == ["name: Ann | age: 31"]

    def test_decimal_commas_part_no_cells(self) -> None:
        assert texts("1,5;2,5\n3,5;4,25\n") == ["1,5 | 2,5", "3,5 | 4,25"]

    def test_semicolons_in_quoted_cells_part_nothing(self) -> None:
        assert texts('firm;town\n"Lang;Sons";Rome 1\nBo;Oslo 2\n')[0] == "firm: Lang;Sons | town: Rome 1"

    def test_commas_in_sentences_do_not_outvote_tabs(self) -> None:
        assert texts("id\ttext\n1\tone, two\n2\tthree, four\n")[0] == "id: 1 | text: one, two"

    def test_first_line_of_excel_names_it(self) -> None:
        assert texts("sep=^\nid^name\n1^Ann\n") == ["id: 1 | name: Ann"]

    def test_backslashes_escape_where_no_marks_are_doubled(self) -> None:
        assert texts('id,said\n1,"he said \\"hi, you\\" twice"\n') == [
            'id: 1 | said: he said "hi, you" twice'
        ]

    def test_tables_of_different_width_are_regular(self) -> None:
        found = texts("name,age\nAnn,31\nBo,4\n\nid,size,kind\n1,2,x\n3,4,y\n")
        assert found[2] == "id: 1 | size: 2 | kind: x"

    @pytest.mark.parametrize(
        "prose",
        [
            "Dear Sir,\nI am, as you know,\nno table at all.\n\nYours, truly, ever\nAnn",
            "one\ntwo\n\nthree",
        ],
    )
    def test_prose_stays_as_it_is(self, prose: str) -> None:
        parsed = parse(prose)
        assert parsed.text == prose
        assert {block.kind for block in parsed.blocks} == {BlockKind.PARAGRAPH}

    def test_one_column_of_quoted_texts_is_a_table(self) -> None:
        assert texts('text\n"One, two,\nthree."\n"Four."\n') == ["text", "One, two, three.", "Four."]


class TestCells:
    def test_line_breaks_and_doubled_marks(self) -> None:
        assert texts('a,b\n1,"ha \n""ha"" \nha"\n3,4\n') == ['a: 1 | b: ha "ha" ha', "a: 3 | b: 4"]

    @pytest.mark.parametrize("encoding", ["cp932", "utf-8-sig", "utf-16"])
    def test_encodings(self, encoding: str) -> None:
        source = "名前,年齢,住所\r\n佐藤太郎,30,東京\r\n三木英子,25,大阪\r\n髙橋淳,35,名古屋\r\n"
        assert texts(source.encode(encoding))[0] == "名前: 佐藤太郎 | 年齢: 30 | 住所: 東京"

    def test_long_cells_keep_their_lines(self) -> None:
        lines = "\n".join(["A line of a long answer."] * 40)
        assert lines in parse(f'id,answer\n1,"{lines}"\n2,short\n').text

    def test_many_blank_lines_part_tables_once(self) -> None:
        assert len(texts("a,b\n1,2\n" + "\n" * 100_000 + "3,4\n")) == 2


class TestDamage:
    def test_mark_that_is_never_closed_spoils_its_line_only(self) -> None:
        found = texts('a,b\n1,"x\n' + "2,y\n" * 1_000)
        assert len(found) == 1_001
        assert found[:2] == ["a: 1 | b: x", "a: 2 | b: y"]

    def test_text_behind_a_closing_mark_is_kept(self) -> None:
        assert texts('a,b\n1,"x" and y\n2,z\n')[0] == "a: 1 | b: x and y"

    def test_lines_longer_than_any_cell_are_read(self) -> None:
        assert len(parse("a,b\n1,2\n" + "x" * 1_500_000 + ",3\n4,5\n").text) > 1_500_000

    def test_odd_marks_everywhere_are_read_in_linear_time(self) -> None:
        assert len(texts("a,b\n" + '1,"x\n' * 20_000)) >= 10_000


CELLS = st.text(alphabet='ab,;"\n 1é', max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=8))
def test_what_was_written_by_the_rules_is_read_back(rows: list[list[str]]) -> None:
    target = io.StringIO()
    csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    assert list(records(target.getvalue(), Dialect(","))) == rows


@given(st.text(alphabet='ab,;"\n \\1', max_size=200))
def test_any_text_is_read_to_its_end(text: str) -> None:
    for dialect in (find_dialect(text) or Dialect(";"), Dialect(",", escape="\\")):
        letters = "".join("".join(record) for record in records(text, dialect))
        assert letters.count("a") == text.count("a")
