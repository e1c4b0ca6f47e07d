"""The figures that a question can have: what each is called, which way is better, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Better(StrEnum):
    """Which way a figure should go."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Figure:
    """`label` may hold `{k}`, the number of passages that were retrieved; `is_share`: it lies between 0 and 1."""

    label: str
    better: Better
    meaning: str
    is_share: bool = True


FIGURES: Mapping[str, Figure] = {
    "recall": Figure(
        "recall@{k}", Better.HIGHER, "share of the expected documents (or else passages) that were retrieved"
    ),
    "ndcg": Figure("nDCG@{k}", Better.HIGHER, "how far up they stand"),
    "mrr": Figure("MRR@{k}", Better.HIGHER, "1 / rank of the first of them"),
    "passage_recall": Figure(
        "passage recall@{k}", Better.HIGHER, "share of the expected passages that a retrieved chunk holds"
    ),
    "citation_precision": Figure(
        "citation precision",
        Better.HIGHER,
        "share of an answer's citations whose source is an expected document, or holds the passage or the answer",
    ),
    "answer_holds": Figure("expected answer held", Better.HIGHER, "an accepted string stands in the answer"),
    "false_answer": Figure("false answers", Better.LOWER, "of the unanswerable questions, those answered"),
    "false_abstention": Figure(
        "false abstentions", Better.LOWER, "of the answerable questions, those not answered"
    ),
    "error": Figure(
        "errors", Better.LOWER, "questions without a reply; in the figures above they are misses"
    ),
    "words": Figure("words of an answer", Better.NEITHER, "mean length of the answers given", is_share=False),
}


def label_of(name: str, k: object) -> str:
    """How a figure, or a stage's time, is called."""
    figure = FIGURES.get(name)
    return name if figure is None else figure.label.format(k=k)


def better_of(name: str) -> Better:
    """Times should be low."""
    figure = FIGURES.get(name)
    return Better.LOWER if figure is None else figure.better
