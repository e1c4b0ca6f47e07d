"""How text is shown."""

import pytest

from ragstone.core.text import readable


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("two  words\n\tand more ", "two words and more"),
        ("As shown before [3].", "As shown before ."),
        ("an array a[10000] stays", "an array a[10000] stays"),
        ("[1] first", "first"),
        ("", ""),
    ],
)
def test_white_space_is_collapsed_and_reference_marks_are_dropped(given: str, shown: str) -> None:
    assert readable(given) == shown
