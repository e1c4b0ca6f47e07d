"""Error rates of the support measure: true claims against swapped sources and against claims made false.

The verbatim short cut is left out: `measure_support` itself is weighed. Claims are sentences of the passages
themselves (so the true pairs are as easy as they can be), and sentences of reference answers that people wrote
about the gold documents (so they are said in other words).
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.api import read_lines
from bench.inside import Inside
from bench.metrics import auroc, share
from bench.report import Table
from ragstone.core.models import Scope, Source
from ragstone.core.sentences import sentence_spans
from ragstone.pipelines.question import term_weights
from ragstone.pipelines.support import SUPPORTED_FROM, measure_support

MIN_WORDS = 8
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}")
_AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|could|will|would|may|might|must|should|did|does)\b"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence and the documents (ids) that say it."""

    text: str
    documents: frozenset[str]


@dataclass(slots=True)
class Supports:
    """Support by kind of pair."""

    true: list[float] = field(default_factory=list)
    other: dict[str, list[float]] = field(default_factory=dict)

    def add(self, kind: str, support: float) -> None:
        """One pair."""
        self.other.setdefault(kind, []).append(support)


def change_number(claim: str, source: random.Random) -> str | None:
    """One number replaced by another with as many digits; None where there is none."""
    return _replace_one(_NUMBER, claim, source, lambda old: _other_number(old, source))


def change_name(claim: str, source: random.Random, names: Sequence[str]) -> str | None:
    """One capitalised word inside the sentence replaced by one from elsewhere."""
    strangers = [name for name in names if name not in claim]
    return _replace_one(_NAME, claim, source, lambda _: source.choice(strangers)) if strangers else None


def negate(claim: str) -> str | None:
    """`not` behind the first auxiliary verb."""
    found = _AUXILIARY.search(claim)
    return None if found is None else f"{claim[: found.end()]} not{claim[found.end() :]}"


def _replace_one(
    pattern: re.Pattern[str], claim: str, source: random.Random, replacement: Callable[[str], str]
) -> str | None:
    found = list(pattern.finditer(claim))
    if not found:
        return None
    chosen = source.choice(found)
    return f"{claim[: chosen.start()]}{replacement(chosen[0])}{claim[chosen.end() :]}"


def _other_number(old: str, source: random.Random) -> str:
    first, last = 10 ** (len(old) - 1), 10 ** len(old) - 1
    return str(
        next(number for number in iter(lambda: source.randint(first, last), None) if str(number) != old)
    )


async def own_sentences(
    inside: Inside, sources: Sequence[str], *, collection: str, most: int | None
) -> list[Claim]:
    """One sentence of each document, from its first chunk that is found by its title and text."""
    claims = []
    for text in sources[:most]:
        sentences = [text[start:end] for start, end in sentence_spans(text)]
        long_enough = [sentence for sentence in sentences if len(sentence.split()) >= MIN_WORDS]
        if not long_enough:
            continue
        claim = long_enough[len(long_enough) // 2]
        found = await inside.search(claim, collection=collection)
        holders = frozenset(hit.document_id for hit in found if claim in hit.text)
        if holders:
            claims.append(Claim(claim, holders))
    return claims


def reference_sentences(
    queries: Path, relevant: dict[str, frozenset[str]], *, most: int | None
) -> list[Claim]:
    """The sentences of reference answers; `relevant` maps question ids to the ids of their gold documents."""
    claims = []
    for row in read_lines(queries.read_text())[:most]:
        answer = row["answer"]
        spans = sentence_spans(answer)
        claims += [
            Claim(answer[start:end], relevant[row["_id"]])
            for start, end in spans
            if row["_id"] in relevant and len(answer[start:end].split()) >= MIN_WORDS
        ]
    return claims


async def evaluate(inside: Inside, claims: Sequence[Claim], *, collection: str, title: str) -> Table:
    """AUC against the true pairs, and how often each kind is flagged at the threshold."""
    supports, source = Supports(), random.Random(5)
    names = sorted({name for claim in claims for name in _NAME.findall(claim.text)})
    hits = [await inside.search(claim.text, collection=collection, top_k=10) for claim in claims]
    for row, (claim, found) in enumerate(zip(claims, hits, strict=True)):
        holders = [hit for hit in found if hit.document_id in claim.documents]
        if not holders:
            continue
        supports.true.append(await _support(inside, claim.text, holders, collection))
        stranger = [
            hit for hit in hits[(row + len(hits) // 2) % len(hits)] if hit.document_id not in claim.documents
        ]
        neighbour = [hit for hit in found if hit.document_id not in claim.documents]
        for kind, others in (("random other passage", stranger[:1]), ("best other passage", neighbour[:1])):
            if others:
                supports.add(kind, await _support(inside, claim.text, others, collection))
        false_claims = {
            "changed number": change_number(claim.text, source),
            "changed name": change_name(claim.text, source, names),
            "negated": negate(claim.text),
        }
        for kind, text in false_claims.items():
            if text is not None:
                supports.add(kind, await _support(inside, text, holders, collection))
    return _table(supports, title)


async def _support(inside: Inside, claim: str, sources: Sequence[Source], collection: str) -> float:
    """The most that one of the sources gives."""
    adapters = inside.adapters
    encoder = adapters.sparse_encoder
    tokens = encoder.encode_query(encoder.query_terms(claim))
    weights = await term_weights(adapters.store, Scope(collection=collection), tokens)
    vector = await adapters.embedder.embed_query(claim)
    return max(measure_support(claim, vector, weights, source, encoder).score for source in sources)


def _table(supports: Supports, title: str) -> Table:
    rows: list[list[object]] = [["true", len(supports.true), "", _flagged(supports.true)]]
    rows += [
        [kind, len(scores), auroc(supports.true, scores), _flagged(scores)]
        for kind, scores in supports.other.items()
    ]
    columns = ("pair", "pairs", "AUC against true", f"flagged (support < {SUPPORTED_FROM})")
    return Table(title, columns, rows)


def _flagged(scores: Sequence[float]) -> float:
    return share(score < SUPPORTED_FROM for score in scores)
