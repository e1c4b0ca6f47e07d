"""How well the chunks that are found cover the passages that hold the answer: `qa/chunkspans`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.api import Api, TextDocument, read_lines
from bench.load import Connection
from bench.metrics import Overlap, mean, token_overlap
from bench.report import Table


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked for: so many hits, each with chunks around it."""

    top_k: int
    around: int = 0

    def __str__(self) -> str:
        return f"top {self.top_k}" + (f" with {self.around} around each" if self.around else "")


SHAPES = (Shape(5), Shape(2, 1), Shape(10), Shape(5, 1))
TOKEN = re.compile(r"\w+|[^\w\s]")
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SpanQuestion:
    """A question and the texts of the file that answer it."""

    text: str
    corpus: str
    gold: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanSet:
    """Long documents by name, and questions about them."""

    corpora: Mapping[str, str]
    questions: Sequence[SpanQuestion]


@dataclass(frozen=True, slots=True)
class Located:
    """A text in which passages are found again whatever became of the white space."""

    text: str
    squeezed: str
    positions: Sequence[int]

    @classmethod
    def of(cls, text: str) -> "Located":
        """Drops all white space and remembers where each character stood."""
        positions = [index for index, character in enumerate(text) if not character.isspace()]
        return cls(text, "".join(text[index] for index in positions), positions)

    def find(self, passage: str) -> Span | None:
        """Where the passage stands in `text`, the first time; None if nowhere."""
        wanted = "".join(passage.split())
        first = self.squeezed.find(wanted) if wanted else -1
        if first < 0:
            return None
        return self.positions[first], self.positions[first + len(wanted) - 1] + 1


def load(folder: Path) -> SpanSet:
    """Corpora are read without translating line ends, so that the offsets hold."""
    corpora = {path.stem: path.read_bytes().decode() for path in sorted((folder / "corpora").iterdir())}
    rows = read_lines((folder / "questions.jsonl").read_text())
    return SpanSet(corpora, [_question(row, corpora) for row in rows])


def _question(row: dict[str, Any], corpora: Mapping[str, str]) -> SpanQuestion:
    text = corpora[row["corpus"]]
    return SpanQuestion(row["text"], row["corpus"], tuple(text[start:end] for start, end in row["spans"]))


def collection_of(corpus: str) -> str:
    """Each long document is searched alone: what is measured is the cutting, not the choice of the document."""
    return f"chunkspans-{corpus}"


async def evaluate(api: Api, found: SpanSet, *, most_questions: int | None) -> Table:
    """Upload, ask, and weigh the chunks that came back."""
    rows: list[list[object]] = []
    shaped: dict[Shape, list[Overlap]] = {shape: [] for shape in SHAPES}
    for corpus, text in found.corpora.items():
        (document_id,) = await api.upload(collection_of(corpus), [TextDocument(corpus, corpus, text)])
        await api.wait_ready(collection_of(corpus))
        questions = [question for question in found.questions if question.corpus == corpus][:most_questions]
        extracted = await api.text(document_id)
        for shape, overlaps in shaped.items():
            weighed, lost = await _weigh(api, corpus, questions, extracted, shape)
            overlaps += weighed
            if shape == SHAPES[0]:
                rows.append(_row(corpus, len(questions), weighed, lost))
    all_lost = sum(int(str(row[-1])) for row in rows)
    rows += [_row(f"all, {shape}", len(overlaps), overlaps, all_lost) for shape, overlaps in shaped.items()]
    columns = (
        "corpus",
        "questions",
        "token recall",
        "token precision",
        "token IoU",
        "gold spans not found again",
    )
    return Table(f"Passages against gold spans, {SHAPES[0]}", columns, rows)


async def _weigh(
    api: Api, corpus: str, questions: Sequence[SpanQuestion], extracted: str, shape: Shape
) -> tuple[list[Overlap], int]:
    located = Located.of(extracted)
    tokens = [match.span() for match in TOKEN.finditer(extracted)]
    lost = 0

    async def ask(connection: Connection, question: SpanQuestion) -> Overlap:
        nonlocal lost
        places = [located.find(passage) for passage in question.gold]
        lost += places.count(None)
        body = {
            "query": question.text,
            "collection": collection_of(corpus),
            "top_k": shape.top_k,
            "include_text": False,
            "context_window": shape.around,
        }
        results = (await connection.call("POST", "/search", body))["results"]
        retrieved = [(result["start"], result["end"]) for result in results]
        return token_overlap(tokens, retrieved, [place for place in places if place is not None])

    return await api.each(questions, ask), lost


def _row(name: str, questions: int, overlaps: Sequence[Overlap], lost: int) -> list[object]:
    return [
        name,
        questions,
        mean(overlap.recall for overlap in overlaps),
        mean(overlap.precision for overlap in overlaps),
        mean(overlap.iou for overlap in overlaps),
        lost,
    ]
