"""Which visible hits become sources."""

from dataclasses import replace

from ragstone.core.models import Source
from ragstone.pipelines.selection import Selection
from tests.words import source, tokens

LONG = "one two three four five six seven eight nine ten eleven"


def told(text: str, n: int = 1) -> Source:
    made = source(text, n=n)
    return replace(
        made, sentences=tuple(replace(each, tokens=frozenset(tokens(each.text))) for each in made.sentences)
    )


def test_at_most_so_many_of_one_document() -> None:
    selection = Selection(2)

    assert [selection.takes(source("x", n=n)) for n in (1, 1, 2, 1, 2, 2)] == [
        True,
        True,
        True,
        False,
        True,
        False,
    ]


def test_any_number_where_no_bound_is_set() -> None:
    selection = Selection()

    assert all(selection.takes(source("x")) for _ in range(50))


class TestNearDuplicates:
    def test_the_same_words_with_one_more_are_left_out(self) -> None:
        selection = Selection(folds=True)

        assert selection.takes(told(f"{LONG}."))
        assert not selection.takes(told(f"{LONG} twelve."))
        assert selection.takes(told("one two three."))

    def test_the_same_words_in_another_document_are_another_witness(self) -> None:
        selection = Selection(folds=True)

        assert selection.takes(told(LONG, n=1))
        assert selection.takes(told(LONG, n=2))

    def test_only_where_that_is_asked_for(self) -> None:
        selection = Selection()

        assert selection.takes(told(LONG))
        assert selection.takes(told(LONG))

    def test_passages_without_words_are_kept(self) -> None:
        selection = Selection(folds=True)

        assert selection.takes(told("…"))
        assert selection.takes(told("?"))

    def test_what_is_left_out_does_not_count_against_the_bound(self) -> None:
        selection = Selection(2, folds=True)

        assert [selection.takes(told(text)) for text in (LONG, LONG, "cats", "dogs")] == [
            True,
            False,
            True,
            False,
        ]
