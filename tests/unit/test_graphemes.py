import pytest

from ragstone.chunking.graphemes import boundary_before, is_boundary

CLUSTERS = [
    "e\u0301",  # combining accent
    "a\u0323\u0302\u0301",
    "\u0915\u094d\u0937\u093f",  # Devanagari conjunct with a vowel sign
    "\u0e01\u0e33",  # Thai vowel that is a letter by category
    "\u1112\u1161\u11ab",  # Hangul in jamo
    "\uac00\u11a8",
    "\u1100\u1100\u1161",
    "👨\u200d👩\u200d👧\u200d👦",
    "👍🏽",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "🇩🇪",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\uff76\uff9e",
    "x\u200d",
]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_cluster_is_not_torn(cluster: str) -> None:
    text = f"a{cluster}漢"
    inside = range(2, 1 + len(cluster))
    assert not any(is_boundary(text, at) for at in inside)


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_text_may_be_cut_in_front_of_a_cluster(cluster: str) -> None:
    assert is_boundary(f"漢{cluster}", 1)


def test_flags_in_a_row_are_pairs() -> None:
    text = "🇩🇪🇫🇷🇮🇹"
    assert [at for at in range(7) if is_boundary(text, at)] == [0, 2, 4, 6]


def test_syllables_of_hangul_part() -> None:
    assert is_boundary("한글", 1)
    assert is_boundary("가나", 1)


def test_white_space_may_be_cut_but_for_a_line_end() -> None:
    assert is_boundary(" \u0301", 1)
    assert not is_boundary("a\r\nb", 2)


def test_boundary_is_searched_backwards() -> None:
    assert boundary_before("ab👨\u200d👩\u200d👧", 6, 0) == 2


def test_cluster_longer_than_any_writing_is_cut() -> None:
    assert boundary_before("a" + "\u0301" * 1_000, 500, 0) == 500
