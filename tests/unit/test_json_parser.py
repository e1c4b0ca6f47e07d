import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.core.errors import NoText, ParseFailed, ParseLimit
from ragstone.core.models import BlockKind
from ragstone.parsers.json import JsonLinesParser, JsonParser


def texts(source: str | bytes) -> list[str]:
    parsed = JsonParser().parse(source if isinstance(source, bytes) else source.encode())
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def line_texts(source: str) -> list[str]:
    parsed = JsonLinesParser().parse(source.encode())
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


class TestRecords:
    def test_an_array_is_a_list_of_records(self) -> None:
        assert texts('[{"id": 1, "at": {"town": "Rome", "zip": "00100"}}, {"id": 2}]') == [
            "id: 1\nat.town: Rome\nat.zip: 00100",
            "id: 2",
        ]

    def test_arrays_in_the_outermost_object_are_too(self) -> None:
        assert texts('{"page": 1, "of": 2, "rows": [{"a": 1}, {"a": 2}], "meta": {"x": true}}') == [
            "page: 1\nof: 2",
            "rows[0].a: 1",
            "rows[1].a: 2",
            "meta.x: true",
        ]

    def test_plain_values_in_an_array_share_a_line(self) -> None:
        assert texts('{"r": {"tags": ["a", 2, null, "c"], "parts": [{"n": 1}, [3, 4]]}}') == [
            "r.tags: a, 2, c\nr.parts[0].n: 1\nr.parts[1]: 3, 4"
        ]

    def test_empty_values_are_left_out(self) -> None:
        assert texts('[{"a": null, "b": "", "c": [], "d": {}, "e": false, "f": 0}]') == ["e: false\nf: 0"]

    def test_plain_values_stand_together(self) -> None:
        assert texts('["one", "two"]') == ["one\ntwo"]
        assert texts('"one"') == ["one"]

    def test_long_texts_are_paragraphs(self) -> None:
        body = "A sentence. " * 100
        parsed = JsonParser().parse(json.dumps([{"id": 1, "body": body, "by": "Ann"}]).encode())
        assert [block.kind for block in parsed.blocks] == [
            BlockKind.TABLE,
            BlockKind.PARAGRAPH,
            BlockKind.TABLE,
        ]

    def test_several_values_are_several_records(self) -> None:
        assert texts('{"a": {"b": 1}}\n{"a": {"b": 2}}') == ["a.b: 1", "a.b: 2"]

    def test_title(self) -> None:
        assert JsonParser().parse(b'{"title": "Guide", "x": 1}').title == "Guide"


class TestValues:
    @pytest.mark.parametrize("number", ["9" * 5_000, "NaN", "-Infinity", "1.50", "1e999", "-0"])
    def test_numbers_stand_as_they_are_written(self, number: str) -> None:
        assert texts(f'{{"n": {number}}}') == [f"n: {number}"]

    def test_strange_strings_survive(self) -> None:
        assert texts(b'["a\\ud800b\\u0000c", "d\\u2028e", "\xe2\x80\xa8", "f\tg"]') == ["abc\nd\ne\nf\tg"]

    def test_other_encodings(self) -> None:
        assert texts('{"a": "é"}'.encode("utf-16")) == ["a: é"]
        assert texts('{"a": "é"}'.encode("utf-8-sig")) == ["a: é"]


class TestRefusals:
    def test_place_of_the_error_is_named(self) -> None:
        with pytest.raises(ParseFailed, match="line 2, column 7"):
            texts('[{"a": 1},\n {"b":}]')

    @pytest.mark.parametrize("source", ["[" * 100_000, '{"a":' * 100_000])
    def test_nesting_has_a_bound(self, source: str) -> None:
        with pytest.raises(ParseLimit, match="nested"):
            texts(source)

    def test_long_paths_have_a_bound(self) -> None:
        deep = ('{"' + "k" * 1_000 + '":') * 500 + "[1,{}]" + "}" * 500
        assert len(texts(deep)[0]) < 3_000

    @pytest.mark.parametrize("source", ["null", "[]", '{"a": ""}', " "])
    def test_nothing_to_read(self, source: str) -> None:
        with pytest.raises(NoText):
            texts(source)


class TestLines:
    def test_each_line_is_a_record(self) -> None:
        assert line_texts('{"a": 1, "b": {"c": 2}}\n\n{"a": 3}\n') == ["a: 1\nb.c: 2", "a: 3"]

    def test_broken_lines_stand_as_they_are(self) -> None:
        assert line_texts('{"a": 1}\n{"a": \n' + "[" * 10_000 + '\n{"a": 2}') == [
            "a: 1",
            '{"a":',
            "[" * 10_000,
            "a: 2",
        ]

    def test_broken_lines_alone_are_no_such_file(self) -> None:
        with pytest.raises(ParseFailed, match="line 2, column 1"):
            line_texts("\nno json\nnot at all")


KEYS = st.text("ab.é", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text("ab\n é", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=3), max_size=3))
def test_every_number_is_in_the_text(values: list[object]) -> None:
    source = json.dumps([{"mark": 4711}, *values])
    text = "\n".join(texts(source))
    for number in _numbers(values):
        assert str(number) in text


def _numbers(value: object) -> list[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []
