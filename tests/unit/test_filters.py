"""The filter grammar: what is accepted, at which bounds, and what it means."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.core.errors import InvalidFilter
from ragstone.core.filters import (
    MAX_DEPTH,
    MAX_EXACT_INTEGER,
    MAX_LEAVES,
    MAX_VALUES,
    And,
    Leaf,
    Not,
    Or,
    epoch_micros,
    matches,
    parse_filter,
)


def leaf(value: object = 1, *, op: str = "eq", field: str = "metadata.k") -> dict[str, Any]:
    return {"field": field, op: value}


def nested(depth: int) -> dict[str, Any]:
    raw = leaf()
    for _ in range(depth - 1):
        raw = {"not": raw}
    return raw


class TestParsing:
    def test_a_leaf_keeps_its_field_operator_and_value(self) -> None:
        assert parse_filter(leaf("x", op="ne", field="title")) == Leaf("title", "ne", "x")

    def test_combinations_nest(self) -> None:
        raw = {"and": [leaf(1), {"or": [leaf(2), {"not": leaf(3)}]}]}

        one, two, three = (Leaf("metadata.k", "eq", value) for value in (1, 2, 3))
        assert parse_filter(raw) == And((one, Or((two, Not(three)))))

    @pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"])
    def test_any_time_that_can_be_written_can_be_compared(self, moment: str) -> None:
        assert isinstance(parse_filter(leaf(moment, op="lt", field="created_at")), Leaf)

    def test_the_rest_of_a_metadata_field_is_one_literal_key(self) -> None:
        assert parse_filter(leaf(field='metadata.a.b["c"]')) == Leaf('metadata.a.b["c"]', "eq", 1)

    def test_in_takes_a_list_of_scalars(self) -> None:
        assert parse_filter(leaf([1, "a", True], op="in")) == Leaf("metadata.k", "in", (1, "a", True))

    def test_created_at_is_compared_in_microseconds_whatever_its_offset(self) -> None:
        utc = parse_filter(leaf("2026-01-01T00:00:00Z", op="gte", field="created_at"))
        east = parse_filter(leaf("2026-01-01T02:00:00+02:00", op="gte", field="created_at"))

        assert utc == east == Leaf("created_at", "gte", 1_767_225_600_000_000)

    @pytest.mark.parametrize(
        "raw",
        [
            None,
            [],
            "metadata.k",
            1,
            {},
            {"and": []},
            {"and": "x"},
            {"and": [leaf()], "or": [leaf()]},
            {"xor": [leaf()]},
            {"not": [leaf()]},
            {"field": "metadata.k"},
            {"field": "metadata.k", "eq": 1, "ne": 2},
            {"field": "metadata.k", "regex": ".*"},
            {"field": "metadata.", "eq": 1},
            {"field": "metadata", "eq": 1},
            {"field": "tenant_id", "eq": "other"},
            {"field": "document_version", "eq": "x:1"},
            {"field": 7, "eq": 1},
            leaf(None),
            leaf([1]),
            leaf({"a": 1}),
            leaf("x", op="in"),
            leaf([], op="in"),
            leaf([[1]], op="in"),
            leaf("yes", op="exists"),
            leaf(1, op="exists"),
            leaf("x", op="gt"),
            leaf(True, op="lte"),
            leaf("\ud800"),
            leaf(field="metadata.\ud800"),
            leaf(float("nan")),
            leaf(float("inf")),
            leaf(-float("inf"), op="lt"),
            leaf(MAX_EXACT_INTEGER + 1),
            leaf(10**400),
            leaf("yesterday", field="created_at"),
            leaf("2026-01-01T00:00:00", field="created_at"),
            leaf(1_767_225_600, field="created_at"),
            leaf("2026-01-01T00:00:00Z", op="exists", field="created_at"),
        ],
    )
    def test_what_the_grammar_does_not_know_is_refused(self, raw: object) -> None:
        with pytest.raises(InvalidFilter):
            parse_filter(raw)

    def test_the_message_names_the_place(self) -> None:
        with pytest.raises(InvalidFilter, match=r"filter\.and\[1\]\.field: unknown field"):
            parse_filter({"and": [leaf(), leaf(field="colour")]})


class TestBounds:
    def test_the_deepest_allowed_nesting_passes_and_one_more_does_not(self) -> None:
        parse_filter(nested(MAX_DEPTH))
        with pytest.raises(InvalidFilter, match="8 levels"):
            parse_filter(nested(MAX_DEPTH + 1))

    def test_a_very_deep_filter_is_refused_without_recursing_into_it(self) -> None:
        with pytest.raises(InvalidFilter, match="8 levels"):
            parse_filter(nested(50_000))

    def test_leaves_are_counted_over_the_whole_filter(self) -> None:
        half = {"and": [leaf()] * (MAX_LEAVES // 2)}
        parse_filter({"or": [half, half]})
        with pytest.raises(InvalidFilter, match="100 tests"):
            parse_filter({"or": [half, half, leaf()]})

    def test_one_list_longer_than_all_leaves_is_refused_at_once(self) -> None:
        with pytest.raises(InvalidFilter, match="100 tests"):
            parse_filter({"and": [leaf()] * 10_000})

    def test_values_are_counted_over_the_whole_filter(self) -> None:
        many = leaf(list(range(MAX_VALUES // 2)), op="in")
        parse_filter({"or": [many, many]})
        with pytest.raises(InvalidFilter, match="1000 values"):
            parse_filter({"or": [many, many, leaf()]})

    def test_one_list_of_values_is_bounded(self) -> None:
        parse_filter(leaf(list(range(MAX_VALUES)), op="in"))
        with pytest.raises(InvalidFilter, match="1000 values"):
            parse_filter(leaf(list(range(MAX_VALUES + 1)), op="in"))


class TestMeaning:
    @pytest.mark.parametrize(
        ("op", "wanted", "value", "expected"),
        [
            ("eq", "a", "a", True),
            ("eq", "a", "A", False),
            ("eq", 1, 1.0, True),
            ("eq", 1, "1", False),
            ("eq", 1, True, False),
            ("eq", True, True, True),
            ("eq", False, 0, False),
            ("ne", 1, 2, True),
            ("ne", 1, 1, False),
            ("in", [1, "b"], "b", True),
            ("in", [1, "b"], True, False),
            ("gt", 1, 2, True),
            ("gt", 1, 1, False),
            ("gte", 1, 1, True),
            ("lt", 1, 0.5, True),
            ("lte", 1, 1.0, True),
            ("lte", 1, 2, False),
            ("gt", 1, "2", False),
            ("gt", 0, True, False),
            ("exists", True, 0, True),
            ("exists", False, 0, False),
        ],
    )
    def test_a_scalar_is_compared_without_coercion(
        self, op: str, wanted: object, value: object, expected: bool
    ) -> None:
        assert matches(parse_filter(leaf(wanted, op=op)), {"metadata.k": value}) is expected

    @pytest.mark.parametrize("fields", [{}, {"metadata.k": None}, {"metadata.k": []}])
    @pytest.mark.parametrize(
        ("op", "wanted", "expected"),
        [
            ("eq", 1, False),
            ("ne", 1, True),
            ("in", [1], False),
            ("gt", 0, False),
            ("lte", 0, False),
            ("exists", True, False),
            ("exists", False, True),
        ],
    )
    def test_a_missing_field_matches_only_ne_not_and_exists_false(
        self, op: str, wanted: object, expected: bool, fields: dict[str, Any]
    ) -> None:
        condition = parse_filter(leaf(wanted, op=op))

        assert matches(condition, fields) is expected
        assert matches(Not(condition), fields) is not expected

    def test_a_list_matches_when_any_element_does(self) -> None:
        fields = {"metadata.k": ["a", 3]}

        assert matches(parse_filter(leaf("a")), fields)
        assert matches(parse_filter(leaf(2, op="gt")), fields)
        assert not matches(parse_filter(leaf("a", op="ne")), fields)

    def test_and_needs_all_and_or_needs_one(self) -> None:
        one, two = leaf(1), leaf("x", field="title")
        fields = {"metadata.k": 1, "title": "y"}

        assert not matches(parse_filter({"and": [one, two]}), fields)
        assert matches(parse_filter({"or": [one, two]}), fields)

    @given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2255, 1, 1)))  # noqa: DTZ001
    def test_microseconds_are_exact_as_a_float64(self, naive: datetime) -> None:
        moment = naive.replace(tzinfo=timezone(timedelta(hours=3)))

        micros = epoch_micros(moment)

        assert int(float(micros)) == micros
        assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) == moment
