"""What a reasoning model thinks aloud in front of its answer never counts as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.pipelines.thinking import ThinkingFilter, without_thinking


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("<think>Hm. [1]</think>\n\nIn May. [1]", "In May. [1]"),
        ("\n <think></think>In May.", "In May."),
        ("In May. <think>really</think>", "In May. <think>really</think>"),
        ("<thinking> is hard", "<thinking> is hard"),
        ("<think>never ends", ""),
        ("<thi", "<thi"),
        ("", ""),
        (" ", " "),
    ],
)
def test_only_a_block_in_front_is_dropped(said: str, answer: str) -> None:
    assert without_thinking(said) == answer


@given(st.lists(st.text("<>/think a", max_size=6)), st.sampled_from(["", "<think>x</think>", "<think>"]))
def test_however_it_is_cut_the_answer_is_the_same(pieces: list[str], opening: str) -> None:
    thinking = ThinkingFilter()

    shown = "".join(thinking.feed(piece) for piece in [opening, *pieces]) + thinking.finish()

    assert shown == without_thinking(opening + "".join(pieces))
