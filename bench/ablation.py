"""What each term of the ranking brings: nDCG@10 without it, in-process on a data directory that no server holds."""

from collections.abc import Mapping
from dataclasses import replace

from bench.inside import Inside
from bench.metrics import mean, ndcg
from bench.report import Table
from bench.retrieval import RetrievalSet
from ragstone.pipelines.ranking import MIXTURE, Mixture
from ragstone.pipelines.searching import Ranking

DEPTH = 50  # chunks, which fold to ten documents in all but a few questions

VARIANTS: Mapping[str, tuple[Ranking, Mixture]] = {
    "all terms": ("full", MIXTURE),
    "without the chunk's cosine": (
        "full",
        replace(MIXTURE, chunk=0.0, sentence=MIXTURE.chunk + MIXTURE.sentence),
    ),
    "without the best sentence's cosine (M)": (
        "full",
        replace(MIXTURE, chunk=MIXTURE.chunk + MIXTURE.sentence, sentence=0.0),
    ),
    "without BM25 of the chunk (B)": ("full", replace(MIXTURE, lexical=0.0)),
    "without BM25 of the best sentence (F)": ("full", replace(MIXTURE, lexical_sentence=0.0)),
    "without proximity (X)": ("full", replace(MIXTURE, proximity=0.0)),
    "without feedback (R)": ("full", replace(MIXTURE, feedback=0.0)),
    "without all that looks at sentences": (
        "full",
        replace(MIXTURE, chunk=1.0, sentence=0.0, lexical_sentence=0.0, proximity=0.0, feedback=0.0),
    ),
    "`RAGSTONE_RANKING=fused`": ("fused", MIXTURE),
}


async def evaluate(
    inside: Inside,
    sets: Mapping[str, RetrievalSet],
    sources: Mapping[str, Mapping[str, str]],
    *,
    most_questions: int | None,
) -> Table:
    """`sources` maps, for each set, the ids that the API gave to the set's own."""
    rows: list[list[object]] = []
    for label, (ranking, mixture) in VARIANTS.items():
        scores = [
            await _ndcg(inside, found, sources[name], ranking, mixture, most_questions)
            for name, found in sets.items()
        ]
        rows.append([label, *scores, mean(scores), mean(scores) - float(str(rows[0][-2])) if rows else 0.0])
    columns = ("ranking", *sets, "mean", "difference")
    return Table("What each term brings (nDCG@10)", columns, rows)


async def _ndcg(
    inside: Inside,
    found: RetrievalSet,
    sources: Mapping[str, str],
    ranking: Ranking,
    mixture: Mixture,
    most_questions: int | None,
) -> float:
    scores = []
    for key, question in list(found.questions.items())[:most_questions]:
        hits = await inside.ranked(question, found.name, DEPTH, ranking, mixture)
        documents = list(dict.fromkeys(sources[hit.document_id] for hit in hits))
        scores.append(ndcg(documents, found.judgements[key], k=10))
    return mean(scores)
