"""Whether a text holds another: answers as SQuAD compares them, passages but for their white space."""

import re
import string
from collections.abc import Sequence

_MARK = re.compile(r"\s*\[\d+\]")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "–—’‘“”", " "))


def holds(answer: str, gold: Sequence[str]) -> bool:
    """Whether one of the gold strings stands in the answer, as SQuAD compares: no case, articles, punctuation."""
    shown = f" {_plain(answer)} "
    return any(f" {_plain(text)} " in shown for text in gold if _plain(text))


def is_comparable(gold: str) -> bool:
    """Whether anything of it is left to look for."""
    return bool(_plain(gold))


def without_marks(answer: str) -> str:
    """The answer without its `[1]`."""
    return _MARK.sub("", answer)


def squeezed(text: str) -> str:
    """With one space wherever there is white space: line breaks differ between a file and its extracted text."""
    return " ".join(text.split())


def _plain(text: str) -> str:
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())
