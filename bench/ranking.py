"""What the second stage of the ranking costs: a search, an ingest, and the disk."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

from bench import synthetic
from bench.corpus import make_documents, make_paragraphs
from bench.figures import Figure, against_bare, at_most
from bench.inside import Inside, open_inside
from bench.synthetic import SCOPE
from ragstone.core.models import EmbeddingInput, Terms
from ragstone.core.sentences import sentence_spans
from ragstone.embeddings.minilm import MiniLMEmbedder
from ragstone.pipelines.features import decode, pack_features
from ragstone.pipelines.fusion import Candidate, fuse
from ragstone.pipelines.question import Question, term_weights
from ragstone.pipelines.ranking import HEAD, MIXTURE, rank
from ragstone.pipelines.searching import Ranking

POINTS, CHUNKS_EACH = 10_000, 10
QUESTIONS, ROUNDS = 100, 5
TEXTS = 48
_NO_TERMS = (Terms(()),)
SECOND_STAGE_MS, INGEST_RATIO, DISK_RATIO = 1.5, 1.05, 1.6


async def measure() -> list[Figure]:
    """At 10k chunks."""
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as name:
        folder = Path(name)
        await synthetic.build(folder, count=POINTS // CHUNKS_EACH, chunks_each=CHUNKS_EACH)
        async with open_inside(folder) as inside:
            figures = await _searching(inside)
    return [*figures, await _ingest(), await _disk()]


async def _searching(inside: Inside) -> list[Figure]:
    asked = [document.questions[0] for document in make_documents(POINTS // CHUNKS_EACH)][:QUESTIONS]
    stage_ms = median([await _second_stage_ms(inside, asked) for _ in range(ROUNDS)])
    rounds = [
        [await _search_ms(inside, asked, ranking) for ranking in ("full", "fused")] for _ in range(ROUNDS)
    ]
    full, fused = zip(*rounds, strict=True)
    return [
        at_most("second stage of a search at 10k chunks, CPU", stage_ms, SECOND_STAGE_MS, unit="ms"),
        against_bare("search inside the process, p50 ms (bare: `RAGSTONE_RANKING=fused`)", full, fused),
    ]


async def _second_stage_ms(inside: Inside, asked: Sequence[str]) -> float:
    """CPU of this process, from decoded features to ranked candidates."""
    adapters = inside.adapters
    prepared = []
    for text in asked:
        terms = adapters.sparse_encoder.query_terms(text)
        tokens, vector = adapters.sparse_encoder.encode_query(terms), await adapters.embedder.embed_query(
            text
        )
        weights = await term_weights(adapters.store, SCOPE, tokens)
        candidates: list[Candidate] = fuse(
            *await adapters.store.search_hybrid(SCOPE, vector, tokens, limit=HEAD)
        )
        packed = await adapters.store.read_features(SCOPE, [each.id for each in candidates])
        features = {id_: decode(each) for id_, each in packed.items()}
        prepared.append((Question(text, terms, tokens, vector), weights, candidates, features))
    return 1000 * _cpu_s(lambda: [rank(*each) for each in prepared]) / len(prepared)


async def _search_ms(inside: Inside, asked: Sequence[str], ranking: Ranking) -> float:
    took = []
    for text in asked:
        began = time.perf_counter()
        await inside.ranked(text, SCOPE.collection, 5, ranking, MIXTURE)
        took.append(1000 * (time.perf_counter() - began))
    return median(took)


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


async def _ingest() -> Figure:
    """Embedding with and without the vectors of sentences, and their packing."""
    texts = list(islice(make_paragraphs(), TEXTS))
    spans = [tuple(sentence_spans(text)) for text in texts]
    embedder = await asyncio.to_thread(MiniLMEmbedder)
    try:
        plain = [EmbeddingInput(text) for text in texts]
        spanned = [EmbeddingInput(text, within) for text, within in zip(texts, spans, strict=True)]
        await embedder.embed_documents(plain)
        rounds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            found = await embedder.embed_documents(spanned)
            for each, within in zip(found, spans, strict=True):
                pack_features(_NO_TERMS * len(within), [end - start for start, end in within], each.spans)
            with_spans = time.process_time() - began
            began = time.process_time()
            await embedder.embed_documents(plain)
            rounds.append((with_spans, time.process_time() - began))
    finally:
        await embedder.close()
    full, bare = zip(*rounds, strict=True)
    name = f"embedding {TEXTS} chunks, CPU s (bare: without sentence vectors)"
    return against_bare(name, full, bare, at_most=INGEST_RATIO)


async def _disk() -> Figure:
    """Blocks on disk of the same points, with the vectors of sentences and without, per chunk."""
    full, bare = [await _bytes_a_chunk(with_vectors=with_vectors) for with_vectors in (True, False)]
    return Figure(
        "disk, bytes a chunk (bare: without sentence vectors)",
        full,
        bare,
        full / bare,
        f"≤ {DISK_RATIO:g} ×",
        full / bare <= DISK_RATIO,
    )


async def _bytes_a_chunk(*, with_vectors: bool) -> float:
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as name:
        folder = Path(name)
        await synthetic.build(
            folder, count=POINTS // CHUNKS_EACH, chunks_each=CHUNKS_EACH, with_vectors=with_vectors
        )
        async with open_inside(folder):
            pass  # a start and an orderly end leave no log behind
        return _allocated(folder) / POINTS


def _allocated(folder: Path) -> int:
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*") if path.is_file())
