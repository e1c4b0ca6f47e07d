"""`make eval DATA=DIR`: ranking, passages, extractive answers, abstention and support on public question sets.

DIR has `retrieval/<set>/` in BEIR's layout, `qa/chunkspans` and `qa/squad2_a`; what is missing is left out.
"""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import ablation, answers, claims, own_questions, passages, retrieval
from bench.api import Api, api_of
from bench.inside import open_inside
from bench.load import run_on_uvloop
from bench.report import Report
from bench.server import ready_ragstone

PARAPHRASED = "producthelp"  # the set whose questions come with reference answers


@dataclass(frozen=True, slots=True)
class Data:
    """What was found in the folder."""

    folder: Path
    sets: Mapping[str, retrieval.RetrievalSet]
    spans: passages.SpanSet | None
    questions: answers.Groups | None

    @classmethod
    def load(cls, folder: Path, *, most: int | None) -> "Data":
        """Read it all; `most` bounds the questions of each set."""
        sets = {found.name: found for found in retrieval.load_sets(folder / "retrieval")}
        spans_folder, qa_folder = folder / "qa" / "chunkspans", folder / "qa" / answers.COLLECTION
        spans = passages.load(spans_folder) if spans_folder.exists() else None
        has_questions = qa_folder.exists() and answers.COLLECTION in sets
        foreign = [
            text for name in sets.keys() - {answers.COLLECTION} for text in sets[name].questions.values()
        ]
        foreign += [question.text for question in spans.questions] if spans else []
        questions = answers.load(qa_folder, sorted(foreign), most_questions=most) if has_questions else None
        return cls(folder, sets, spans, questions)

    def own_questions(self, most: int | None) -> dict[str, list[dict[str, Any]]]:
        """By collection, as `ragstone eval` takes them."""
        rows = {name: own_questions.of_set(found, most) for name, found in self.sets.items()}
        asked = self.folder / "qa" / answers.COLLECTION / "questions.jsonl"
        if asked.exists() and answers.COLLECTION in rows:
            rows[answers.COLLECTION] = own_questions.of_answers(asked, most)
        return rows


async def evaluate(data: Data, folder: Path, report: Report, *, most: int | None, precision: str) -> None:
    """Through the API of a server on `folder`, then in-process on what it left there."""
    async with ready_ragstone(folder, precision=precision) as server, api_of(server.port) as api:
        sources = await _ingest(api, data)
        scores = {
            name: await retrieval.evaluate(api, found, sources[name], most_questions=most)
            for name, found in data.sets.items()
        }
        report.add(retrieval.table(scores))
        if data.spans is not None:
            report.add(await passages.evaluate(api, data.spans, most_questions=most))
        if data.questions is not None:
            report.add(await answers.evaluate_replies(api, data.questions))
        with tempfile.TemporaryDirectory(prefix="ragstone-questions-") as asked:
            url = f"http://127.0.0.1:{server.port}"
            print(await own_questions.evaluate(url, data.own_questions(most), Path(asked)))
    await _evaluate_inside(data, folder, sources, report, most=most, precision=precision)


async def _ingest(api: Api, data: Data) -> dict[str, dict[str, str]]:
    """All sets, each into its collection; set → document id → the set's own id."""
    sources = {name: await api.upload(name, found.documents) for name, found in data.sets.items()}
    for name in data.sets:
        await api.wait_ready(name)
    return sources


async def _evaluate_inside(
    data: Data,
    folder: Path,
    sources: Mapping[str, Mapping[str, str]],
    report: Report,
    *,
    most: int | None,
    precision: str,
) -> None:
    async with open_inside(folder, precision=precision) as inside:
        report.add(await ablation.evaluate(inside, data.sets, sources, most_questions=most))
        if data.questions is not None:
            for table in await answers.evaluate_gate(inside, data.questions):
                report.add(table)
            texts = [document.text for document in data.sets[answers.COLLECTION].documents]
            own = await claims.own_sentences(inside, texts, collection=answers.COLLECTION, most=most)
            title = f"Support of a passage's own sentences ({answers.COLLECTION})"
            report.add(await claims.evaluate(inside, own, collection=answers.COLLECTION, title=title))
        if PARAPHRASED in data.sets:
            said = claims.reference_sentences(
                data.folder / "retrieval" / PARAPHRASED / "queries.jsonl",
                _gold_documents(data.sets[PARAPHRASED], sources[PARAPHRASED]),
                most=most,
            )
            title = f"Support of sentences in other words (reference answers of {PARAPHRASED})"
            report.add(await claims.evaluate(inside, said, collection=PARAPHRASED, title=title))


def _gold_documents(found: retrieval.RetrievalSet, sources: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Question id → ids, as the API gave them, of the relevant documents."""
    ids = {source: document_id for document_id, source in sources.items()}
    return {
        question: frozenset(ids[source] for source, grade in grades.items() if grade > 0 and source in ids)
        for question, grades in found.judgements.items()
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with retrieval/ and qa/")
    parser.add_argument("--questions", type=int, default=None, help="at most so many questions of each set")
    parser.add_argument(
        "--precision", choices=("int8", "fp32"), default="int8", help="arithmetic of the encoder"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the tables here too")
    arguments = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="ragstone-eval-") as folder:
        data = Data.load(arguments.data, most=arguments.questions)
        run_on_uvloop(
            evaluate(data, Path(folder), report, most=arguments.questions, precision=arguments.precision)
        )
    report.save(arguments.json)


if __name__ == "__main__":
    main()
