"""What an abstention says."""

import pytest

from ragstone.core.question_kinds import WORDINGS
from ragstone.pipelines.abstaining import ABSTENTIONS, words_of_abstention


@pytest.mark.parametrize("reason", ABSTENTIONS)
def test_every_reason_has_words_in_every_language_that_questions_are_read_in(reason: str) -> None:
    assert ABSTENTIONS[reason].keys() == WORDINGS.keys()
    assert len(set(ABSTENTIONS[reason].values())) == len(WORDINGS)


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", "Zu diesem Thema"), ("ja", "これらの文書"), ("", "I found"), ("xx", "I found")],
)
def test_other_languages_are_told_in_english(language: str, words: str) -> None:
    assert words_of_abstention("low_score", language).startswith(words)
