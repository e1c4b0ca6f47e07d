"""Extractive answers: do they hold the gold answer, how long are they, and when are they withheld.

Answers are asked for through `POST /query`. The confidence behind an abstention is not part of a reply, so its
distribution is measured on the same data directory in-process, after the server has let it go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from bench.api import Api, read_lines
from bench.inside import Inside
from bench.load import Connection
from bench.metrics import auroc, best_floor, mean, share
from bench.report import Table
from ragstone.evaluation.matching import holds, without_marks
from ragstone.llms.extractive import select_quotes
from ragstone.pipelines.evidence import ANSWER_FROM, NOTHING_BELOW

COLLECTION = "squad2_a"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the strings of which one should stand in the answer (none: it cannot be answered), whether it is
    one of the half that floors are chosen on, and a filter that leaves documents out."""

    text: str
    gold: tuple[str, ...]
    is_for_choosing: bool
    filter: dict[str, Any] | None = None


ANSWERABLE = "answerable"
FOREIGN = "of another corpus"
WITHOUT_ARTICLE = "its whole article left out"
WITHOUT_PASSAGE = "its passage left out"
ADVERSARIAL = "SQuAD2's unanswerable"
UNANSWERABLE = (FOREIGN, WITHOUT_ARTICLE, WITHOUT_PASSAGE, ADVERSARIAL)
Groups = Mapping[str, Sequence[Asked]]
"""Questions by what should become of them, from the clearest case of "not here" to the most cunning."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    text: str
    abstained: bool

    def holds(self, gold: Sequence[str]) -> bool:
        """Whether a gold string stands in an answer that was given."""
        return not self.abstained and holds(self.text, gold)

    @property
    def words(self) -> int:
        """Without marks."""
        return len(without_marks(self.text).split())


def load(qa_folder: Path, foreign: Sequence[str], *, most_questions: int | None) -> Groups:
    """Questions of `questions.jsonl`; every other one is for choosing."""
    rows = read_lines((qa_folder / "questions.jsonl").read_text())
    titles = {row["_id"]: row["title"] for row in read_lines((qa_folder / "corpus.jsonl").read_text())}
    good = [row for row in rows if row["answerable"]][:most_questions]
    bad = [row for row in rows if not row["answerable"]][:most_questions]
    without_article = [{"field": "title", "ne": titles[row["passage"]]} for row in good]
    without_passage = [{"field": "source", "ne": row["passage"]} for row in good]
    questions = [row["text"] for row in good]
    return {
        ANSWERABLE: [
            Asked(row["text"], tuple(row["answers"]), place % 2 == 0) for place, row in enumerate(good)
        ],
        FOREIGN: _unanswerable(foreign[:most_questions]),
        WITHOUT_ARTICLE: _unanswerable(questions, without_article),
        WITHOUT_PASSAGE: _unanswerable(questions, without_passage),
        ADVERSARIAL: _unanswerable([row["text"] for row in bad]),
    }


def _unanswerable(texts: Sequence[str], filters: Sequence[dict[str, Any]] = ()) -> list[Asked]:
    pairs = zip_longest(texts, filters)
    return [Asked(text, (), place % 2 == 0, left_out) for place, (text, left_out) in enumerate(pairs)]


async def evaluate_replies(api: Api, groups: Groups) -> Table:
    """What a user of `POST /query` gets."""

    async def ask(connection: Connection, asked: Asked) -> Reply:
        body = {"query": asked.text, "collection": COLLECTION, "filter": asked.filter}
        reply = await connection.call("POST", "/query", body)
        return Reply(reply["answer"], reply["abstained"])

    replies = {name: await api.each(group, ask) for name, group in groups.items()}
    good = replies[ANSWERABLE]
    right = [reply.holds(asked.gold) for reply, asked in zip(good, groups[ANSWERABLE], strict=True)]
    given = [reply for reply in good if not reply.abstained]
    rows = [
        ("the answer holds a gold string, of all answerable questions", len(good), share(right)),
        ("the answer holds a gold string, of those answered", len(given), sum(right) / max(1, len(given))),
        ("mean words of an answer", len(given), mean(reply.words for reply in given)),
        ("false abstention: answerable, withheld", len(good), share(reply.abstained for reply in good)),
    ]
    rows += [
        (f"false answer: {name}", len(replies[name]), share(not reply.abstained for reply in replies[name]))
        for name in UNANSWERABLE
    ]
    return Table(
        "Extractive answers on qa/squad2_a, through POST /query", ("figure", "questions", "value"), rows
    )


@dataclass(frozen=True, slots=True)
class Confidence:
    """The gate's score of one question, and whether the answer without any gate holds a gold string."""

    score: float
    is_right: bool
    is_for_choosing: bool


Confidences = Mapping[str, Sequence[Confidence]]


async def evaluate_gate(inside: Inside, groups: Groups) -> list[Table]:
    """AUROC, and floors chosen on one half of the questions, reported on the other.

    An answer is to be given from the floor that parts answerable questions from those whose article is left out;
    below the floor that parts all questions about the articles from those of another corpus, nothing is here.
    """
    found = {name: await _confidences(inside, group) for name, group in groups.items()}
    about = [*found[ANSWERABLE], *found[WITHOUT_PASSAGE], *found[ADVERSARIAL]]
    answer_from = best_floor(_scores(found[ANSWERABLE]), _scores(found[WITHOUT_ARTICLE]))
    nothing_below = best_floor(_scores(about), _scores(found[FOREIGN]))
    ungated = share(each.is_right for each in found[ANSWERABLE])
    return [
        _auroc_table(found),
        Table(
            "Floors of the gate, error rates on the odd half",
            ("floor", "value", "answerable withheld", *(f"answered: {name}" for name in UNANSWERABLE)),
            [
                _floor_row("ANSWER_FROM in the code", ANSWER_FROM, found),
                _floor_row("chosen on the even half", answer_from, found),
                _floor_row("NOTHING_BELOW in the code", NOTHING_BELOW, found),
                _floor_row("chosen on the even half", nothing_below, found),
            ],
            (f"without any gate {ungated:.3f} of the answers hold a gold string",),
        ),
    ]


def _auroc_table(found: Confidences) -> Table:
    good = [each.score for each in found[ANSWERABLE]]
    rows = [
        (name, len(found[name]), auroc(good, [each.score for each in found[name]])) for name in UNANSWERABLE
    ]
    return Table("Confidence: answerable questions against others", ("against", "questions", "AUROC"), rows)


def _floor_row(label: str, floor: float, found: Confidences) -> list[object]:
    withheld = share(score < floor for score in _scores(found[ANSWERABLE], choosing=False))
    answered = [
        share(score >= floor for score in _scores(found[name], choosing=False)) for name in UNANSWERABLE
    ]
    return [label, floor, withheld, *answered]


def _scores(found: Sequence[Confidence], *, choosing: bool = True) -> list[float]:
    return [each.score for each in found if each.is_for_choosing is choosing]


async def _confidences(inside: Inside, questions: Sequence[Asked]) -> list[Confidence]:
    found = []
    for asked in questions:
        evidence = await inside.evidence(asked.text, collection=COLLECTION, left_out=asked.filter)
        chosen = select_quotes(asked.text, evidence.sources, language=evidence.language)
        answer = " ".join(quote.text for quote in chosen)
        found.append(Confidence(evidence.confidence, holds(answer, asked.gold), asked.is_for_choosing))
    return found
