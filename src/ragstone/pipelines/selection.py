"""Which of the visible hits, in order, become sources: not too many of one document, and not the same passage twice."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ragstone.core.models import Source

SAME_FROM = 0.9
"""Shared part of all terms of two passages of one document from which the second says nothing new: a table's header
with one other row, a notice that is repeated."""


@dataclass(slots=True)
class Selection:
    """Takes sources one by one, best first. `most_per_document` None: any number."""

    most_per_document: int | None = None
    folds: bool = False
    """Whether near-duplicates are left out; sources must have their sentences' terms then."""
    _counts: Counter[str] = field(default_factory=Counter)
    _terms: dict[str, list[frozenset[int]]] = field(default_factory=lambda: defaultdict(list))

    def takes(self, source: Source) -> bool:
        """Whether it is kept."""
        document = source.document_id
        if self.most_per_document is not None and self._counts[document] >= self.most_per_document:
            return False
        if self.folds and not self._is_new(source):
            return False
        self._counts[document] += 1
        return True

    def _is_new(self, source: Source) -> bool:
        terms = frozenset[int]().union(*(sentence.tokens or () for sentence in source.sentences))
        known = self._terms[source.document_id]
        if terms and any(len(terms & other) >= SAME_FROM * len(terms | other) for other in known):
            return False
        known.append(terms)
        return True
