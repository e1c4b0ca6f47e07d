"""Lists and tables in the text of a passage."""

import time

import pytest

from ragstone.core.layout import header_of, is_header, list_at

TEXT = """Models

Model | Weight | Price
Kestrel 2 | 1.4 kg | 320 EUR
Heron 5 | 2.1 kg | 480 EUR

Choose the material:

- Wood
- Steel that is brushed. It is heavy.
  - inner one

Steps
1. Open the lid.
2) Press the knob.

It is said here. And nothing follows.
- alone
"""
MATERIAL = ("Choose the material:", ("- Wood", "- Steel that is brushed. It is heavy.", "  - inner one"))
STEPS = (None, ("1. Open the lid.", "2) Press the knob."))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("Choose", MATERIAL),
        ("Wood", MATERIAL),
        ("It is heavy", MATERIAL),
        ("inner", MATERIAL),
        ("Steps", STEPS),
        ("Press", STEPS),
        ("Models", None),
        ("Heron", None),
        ("It is said", None),
        ("alone", None),
    ],
)
def test_a_list_is_found_by_its_items_its_lead_in_and_its_heading(at: str, expected: object) -> None:
    found = list_at(TEXT, TEXT.index(at))

    shown = found and (
        found.lead_in and TEXT[slice(*found.lead_in)],
        tuple(TEXT[slice(*item)] for item in found.items),
    )
    assert shown == expected


@pytest.mark.parametrize(
    ("at", "expected"), [("Heron", True), ("1.4 kg", True), ("Model |", False), ("Wood", False)]
)
def test_the_first_row_names_the_columns_of_the_others(at: str, expected: bool) -> None:
    found = header_of(TEXT, TEXT.index(at))

    assert (found is not None and TEXT[slice(*found)] == "Model | Weight | Price") is expected
    assert is_header(TEXT, TEXT.index(at)) is (at == "Model |")


def test_a_text_that_begins_inside_of_a_table_has_no_header() -> None:
    assert header_of("Kestrel 2 | 1.4 kg\nHeron 5 | 2.1 kg", 25) is None
    assert header_of("Model | Weight\nHeron 5 | 2.1 kg", 20) == (0, 14)


def test_cells_that_carry_their_names_need_no_header() -> None:
    assert header_of("Model: A | Weight: 1\nModel: B | Weight: 2", 25) is None
    assert not is_header("Model: A | Weight: x\nModel: B | Weight: y", 0)


def test_positions_outside_of_the_text_find_nothing() -> None:
    assert list_at("", 5) is None
    assert header_of("", 5) is None
    assert not is_header("a | b", 99)


def test_hostile_texts_take_linear_time() -> None:
    started = time.process_time()
    for text in ("- " * 2_000, "1" * 4_000, "- a\n" * 1_000, " | " * 1_300, "\n" * 4_000, " " * 4_000):
        list_at(text, len(text) // 2)
        header_of(text, len(text) // 2)
    assert time.process_time() - started < 0.5
