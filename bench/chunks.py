"""How large chunks should be, and what is embedded in front of their text: the ranking on the public sets, with each.

python -m bench.chunks DIR, the folder that `make eval` takes. In-process, by the product's own parts; some minutes of
encoding for each variant.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from bench.load import run_on_uvloop
from bench.metrics import mean, ndcg, token_overlap
from bench.passages import TOKEN, Located
from bench.passages import load as load_passages
from bench.report import Report, Table
from bench.retrieval import load_sets
from ragstone.chunking.structural import TARGET_TOKENS, StructuralChunker
from ragstone.core.models import Chunk, EmbeddingInput, Point, Scope, VisibleDocument
from ragstone.core.ports import Manifest
from ragstone.core.tokenizer import WordPieceTokenizer
from ragstone.embeddings.bm25 import Bm25Encoder
from ragstone.embeddings.minilm import MiniLMEmbedder
from ragstone.parsers.text import TextParser
from ragstone.pipelines.features import pack_features
from ragstone.pipelines.payload import document_version, point_id, sentence_texts
from ragstone.pipelines.question import Question
from ragstone.pipelines.searching import Index, Search, find_sources
from ragstone.vectorstores.edge import EdgeVectorStore

BATCH = 64
CHARACTERS = 4_500  # of passages that are compared: five chunks of the usual size


@dataclass(frozen=True, slots=True)
class Variant:
    """How a text is divided, and whether title and headings are embedded with each part."""

    target_tokens: int = TARGET_TOKENS
    has_context: bool = True

    def __str__(self) -> str:
        return f"{self.target_tokens} word pieces" + ("" if self.has_context else ", text alone")


VARIANTS = (
    Variant(),
    Variant(has_context=False),
    Variant(60),
    Variant(100),
    Variant(150),
    Variant(254),
)


class Everything:
    """The one method of a manifest that a search needs: all is visible."""

    async def visible_documents(self, scope: Scope, ids: Sequence[str]) -> Mapping[str, VisibleDocument]:
        """Version 1 of each."""
        return {id_: VisibleDocument(id_, 1, "", {}) for id_ in ids}

    async def require_collection(self, scope: Scope) -> None:
        """It exists."""


class Library:
    """Documents as one variant divides them."""

    def __init__(self, variant: Variant, embedder: MiniLMEmbedder, store: EdgeVectorStore):
        self._variant = variant
        self._chunker = StructuralChunker(WordPieceTokenizer.load(), target_tokens=variant.target_tokens)
        self._embedder = embedder
        self._encoder = Bm25Encoder()
        self._index = Index(store, cast(Manifest, Everything()))

    async def add(self, collection: str, document_id: str, title: str, text: str) -> int:
        """Returns the number of chunks."""
        parsed = TextParser().parse(text.encode())
        chunks = [self._shown(chunk) for chunk in self._chunker.chunk(parsed, title)]
        scope = Scope(collection=collection)
        for first in range(0, len(chunks), BATCH):
            batch = chunks[first : first + BATCH]
            found = await self._embedder.embed_documents([_input(chunk) for chunk in batch])
            points = [
                self._point(scope, document_id, chunk, each.vector, each.spans)
                for chunk, each in zip(batch, found, strict=True)
            ]
            await self._index.store.upsert(scope, points)
        return len(chunks)

    async def search(self, collection: str, text: str, top_k: int) -> list[tuple[str, int, int]]:
        """Documents and spans of the hits."""
        terms = self._encoder.query_terms(text)
        vector = await self._embedder.embed_query(text)
        question = Question(
            text, terms, self._encoder.encode_query(terms), vector, self._embedder.legibility(text)
        )
        search = Search(Scope(collection=collection), text, top_k)
        found = await find_sources(self._index, search, question)
        return [(source.document_id, source.start, source.end) for source in found.sources]

    def _shown(self, chunk: Chunk) -> Chunk:
        return chunk if self._variant.has_context else replace(chunk, context="")

    def _point(self, scope: Scope, document_id: str, chunk: Chunk, vector: Any, spans: Any) -> Point:
        language, texts = self._encoder.language(chunk.text), sentence_texts(chunk)
        terms = [self._encoder.terms(text, language) for text in texts]
        payload: dict[str, Any] = {
            "tenant_id": scope.tenant_id,
            "collection": scope.collection,
            "document_id": document_id,
            "document_version": document_version(document_id, 1),
            "embedding_key": None,
            "metadata": {},
            "index": chunk.index,
            "language": language,
            "heading": [],
            "location": {},
            "start": chunk.start,
            "end": chunk.end,
            "text": chunk.text,
            "features": pack_features(terms, [len(text) for text in texts], spans, language),
        }
        sparse = self._encoder.encode_document([self._encoder.terms(chunk.context, language), *terms])
        return Point(point_id(f"{scope.collection}/{document_id}", 1, chunk.index), vector, sparse, payload)


def _input(chunk: Chunk) -> EmbeddingInput:
    shift = len(chunk.embedding_text) - len(chunk.text) - chunk.start
    return EmbeddingInput(
        chunk.embedding_text, tuple((start + shift, end + shift) for start, end in chunk.sentences)
    )


async def evaluate(folder: Path, variant: Variant) -> list[object]:
    """nDCG@10 of each set and their mean; token recall of long documents, at the same length of passages."""
    embedder = MiniLMEmbedder()
    with tempfile.TemporaryDirectory(prefix="ragstone-chunks-") as name:
        store = await EdgeVectorStore.open(Path(name), dimension=embedder.dimension)
        library = Library(variant, embedder, store)
        try:
            scores = await _rankings(folder / "retrieval", library)
            return [str(variant), *scores, mean(scores), await _recall(folder / "qa" / "chunkspans", library)]
        finally:
            await store.close()
            await embedder.close()


async def _rankings(folder: Path, library: Library) -> list[float]:
    scores = []
    for found in load_sets(folder):
        for document in found.documents:
            await library.add(found.name, document.source, document.title, document.text)
        rankings = [
            ndcg(
                list(dict.fromkeys(hit[0] for hit in await library.search(found.name, text, 50))),
                found.judgements[key],
                k=10,
            )
            for key, text in found.questions.items()
        ]
        scores.append(mean(rankings))
    return scores


async def _recall(folder: Path, library: Library) -> float:
    spans = load_passages(folder)
    recalls = []
    for name, text in spans.corpora.items():
        chunks = await library.add(f"long-{name}", name, name, text)
        wanted = max(1, round(CHARACTERS / (len(text) / chunks)))
        located = Located.of(text)
        tokens = [match.span() for match in TOKEN.finditer(text)]
        for question in spans.questions:
            if question.corpus != name:
                continue
            hits = await library.search(f"long-{name}", question.text, wanted)
            gold = [place for passage in question.gold if (place := located.find(passage)) is not None]
            recalls.append(token_overlap(tokens, [(start, end) for _, start, end in hits], gold).recall)
    return mean(recalls)


async def run(folder: Path, report: Report) -> None:
    """All variants."""
    rows = [await evaluate(folder, variant) for variant in VARIANTS]
    sets = [found.name for found in load_sets(folder / "retrieval")]
    columns = ("chunks", *sets, "mean nDCG@10", f"token recall in {CHARACTERS} characters")
    report.add(Table("Size and context of chunks", columns, rows))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.chunks", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with retrieval/ and qa/")
    arguments = parser.parse_args()
    run_on_uvloop(run(arguments.data, Report()))


if __name__ == "__main__":
    main()
