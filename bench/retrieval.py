"""Ranking quality on BEIR-layout sets (`corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`) through `POST /search`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import Api, TextDocument, rank_documents, read_lines
from bench.load import Connection
from bench.metrics import mean, ndcg, recall, reciprocal_rank
from bench.report import Table, verdict

MODES = ("dense", "sparse", "hybrid")
DEPTH = 100
TARGETS = {"cranfield": 0.44, "producthelp": 0.84, "squad2_a": 0.93, "mean": 0.74}
"""Hybrid nDCG@10 to reach."""


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Documents, questions by id, and the relevant documents (source → grade) of each question."""

    name: str
    documents: Sequence[TextDocument]
    questions: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the questions of a set."""

    ndcg_10: float
    recall_10: float
    recall_100: float
    mrr_10: float

    @classmethod
    def of(
        cls, rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Mapping[str, int]]
    ) -> "Scores":
        """Rankings of sources by question id."""
        pairs = [(ranking, judgements[question]) for question, ranking in rankings.items()]
        return cls(
            ndcg_10=mean(ndcg(ranking, grades, k=10) for ranking, grades in pairs),
            recall_10=mean(recall(ranking, grades, k=10) for ranking, grades in pairs),
            recall_100=mean(recall(ranking, grades, k=100) for ranking, grades in pairs),
            mrr_10=mean(reciprocal_rank(ranking, grades, k=10) for ranking, grades in pairs),
        )


def load_sets(folder: Path) -> list[RetrievalSet]:
    """All sets below `folder`, by name."""
    return [load_set(path) for path in sorted(folder.iterdir()) if (path / "corpus.jsonl").exists()]


def load_set(folder: Path) -> RetrievalSet:
    """One set; documents without any text are left out (the API refuses them), unjudged questions too."""
    judgements: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        question, document, grade = line.split("\t")
        judgements.setdefault(question, {})[document] = int(grade)
    questions = {row["_id"]: row["text"] for row in read_lines((folder / "queries.jsonl").read_text())}
    return RetrievalSet(
        name=folder.name,
        documents=load_corpus(folder / "corpus.jsonl"),
        questions={key: text for key, text in questions.items() if key in judgements},
        judgements=judgements,
    )


def load_corpus(path: Path) -> list[TextDocument]:
    """Documents that have a text."""
    rows = read_lines(path.read_text())
    return [TextDocument(row["_id"], row["title"], row["text"]) for row in rows if row["text"].strip()]


async def evaluate(
    api: Api, found: RetrievalSet, sources: Mapping[str, str], *, most_questions: int | None
) -> dict[str, Scores]:
    """Scores by mode; `sources` maps the ids that the API gave to the set's ids."""
    questions = list(found.questions.items())[:most_questions]
    scores = {}
    for mode in MODES:

        async def rank(connection: Connection, question: tuple[str, str], mode: str = mode) -> list[str]:
            ranking = await rank_documents(
                connection, question[1], collection=found.name, mode=mode, wanted=DEPTH
            )
            return [sources[document_id] for document_id in ranking]

        rankings = await api.each(questions, rank)
        ids = [key for key, _ in questions]
        scores[mode] = Scores.of(dict(zip(ids, rankings, strict=True)), found.judgements)
    return scores


def table(results: Mapping[str, Mapping[str, Scores]]) -> Table:
    """One row a set and mode, and the means over the sets."""
    rows: list[list[object]] = []
    for name, by_mode in results.items():
        rows += [_row(name, mode, scores) for mode, scores in by_mode.items()]
    for mode in MODES:
        over = [by_mode[mode] for by_mode in results.values()]
        average = Scores(
            mean(scores.ndcg_10 for scores in over),
            mean(scores.recall_10 for scores in over),
            mean(scores.recall_100 for scores in over),
            mean(scores.mrr_10 for scores in over),
        )
        rows.append(_row("mean", mode, average))
    columns = ("set", "mode", "nDCG@10", "Recall@10", "Recall@100", "MRR@10", "target (nDCG@10)", "")
    return Table("Retrieval", columns, rows, ("chunks are folded to documents by their best score",))


def _row(name: str, mode: str, scores: Scores) -> list[object]:
    target = TARGETS.get(name) if mode == "hybrid" else None
    figures = [scores.ndcg_10, scores.recall_10, scores.recall_100, scores.mrr_10]
    return [
        name,
        mode,
        *figures,
        *(["", ""] if target is None else [target, verdict(scores.ndcg_10, target, at_least=True)]),
    ]
