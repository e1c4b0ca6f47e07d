"""Promises about filters: a store passes exactly what `core.filters.matches` passes."""

from typing import Any

from ragstone.core.filters import And, Filter, Leaf, Not, Or, matches, payload_fields
from ragstone.core.models import Point
from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract.scenes import found_ids, fresh_scope, ids_of, of_version, point

NOON = 1_700_000_000_000_000

METADATA: tuple[dict[str, Any], ...] = (
    {},
    {"year": 2020, "tags": ["red", "fox"], "draft": False},
    {"year": 2021.5, "tags": "red", "draft": True},
    {"year": "2020", "tags": [], "draft": None},
    {"year": True, "tags": [None], "a.b": {"c": 1}},
    {"year": [2019, "2020", True], "a.b": 1, 'q"uote]': "x"},
    {"year": -0.0, "a": {"b": 1}, "": "x"},
    {"year": 2**53, "big": 10**30, "small": -(10**30)},
    {"year": 2**53 + 1, "big": 1e300, "small": -1e300},
    {"year": 0, "text": "", "ключ": "значение"},
    {"year": 1e-300, "text": "a" * 1000},
)

YEARS = (2020, 2020.0, "2020", True, False, 0, -0.0, 2021.5, 2019, 2**53, -(2**53), 1, "", "red")
FIELDS = (
    "metadata.year",
    "metadata.tags",
    "metadata.draft",
    "metadata.a.b",
    "metadata.a",
    'metadata.q"uote]',
    "metadata.big",
    "metadata.small",
    "metadata.text",
    "metadata.ключ",
    "metadata.missing",
    "metadata.__proto__",
)


class FilterPromises:
    """The grammar of DESIGN.md, section 4."""

    async def test_equality_membership_and_existence_mean_what_the_grammar_says(
        self, store: VectorStore
    ) -> None:
        """For every kind of value against every kind of wanted one."""
        wanted: list[Filter] = []
        for field in FIELDS:
            wanted += [Leaf(field, "exists", value=True), Leaf(field, "exists", value=False)]
            wanted += [Leaf(field, "in", (2020, "red", True)), Leaf(field, "in", ("x", "значение", 1.0))]
        for year in YEARS:
            for field in ("metadata.year", "metadata.tags", "metadata.draft", "metadata.text"):
                wanted += [Leaf(field, "eq", year), Leaf(field, "ne", year)]
        await _check(store, _documents(), wanted)

    async def test_orderings_mean_what_the_grammar_says(self, store: VectorStore) -> None:
        """Numbers only; strings, booleans, lists, nulls and missing ones do not pass."""
        wanted: list[Filter] = [
            Leaf(field, op, bound)
            for field in (
                "metadata.year",
                "metadata.big",
                "metadata.small",
                "metadata.a.b",
                "metadata.missing",
            )
            for op in ("gt", "gte", "lt", "lte")
            for bound in (2020, 2021.5, 0, -0.0, 1e-300, 2**53, -(2**53))
        ]
        wanted += [Leaf("metadata.text", "gte", ""), Leaf("metadata.draft", "lte", value=True)]
        await _check(store, _documents(), wanted)

    async def test_conditions_combine(self, store: VectorStore) -> None:
        """Empty ones included: all of nothing is true, one of nothing is false."""
        recent, red = Leaf("metadata.year", "gte", 2020), Leaf("metadata.tags", "eq", "red")
        draft = Leaf("metadata.draft", "exists", value=True)
        wanted: list[Filter] = [
            And((recent, red)),
            Or((recent, red)),
            Not(recent),
            Not(Or((red, Not(draft)))),
            And((Or((recent, draft)), Not(And((red, draft))))),
            Not(Not(Not(red))),
            And(()),
            Or(()),
            Not(And(())),
            Or((And(()), red)),
        ]
        await _check(store, _documents(), wanted)

    async def test_the_named_fields_can_be_filtered(self, store: VectorStore) -> None:
        """Those that documents have, and the two of the store itself."""
        named = {
            "document_id": "d1",
            "source": "s/1",
            "title": "T 1",
            "filename": "f.pdf",
            "media_type": "text/plain",
            "document_version": "d1:3",
            "embedding_key": "k1",
        }
        documents = [_of(named), _of(dict.fromkeys(named, "other")), point()]
        wanted: list[Filter] = []
        for field, value in named.items():
            wanted += [Leaf(field, "eq", value), Leaf(field, "ne", value), Leaf(field, "in", (value, "x"))]
            wanted += [Leaf(field, "exists", value=True), Leaf(field, "exists", value=False)]
        await _check(store, documents, wanted)

    async def test_times_are_compared_to_the_microsecond(self, store: VectorStore) -> None:
        """As integers since the epoch."""
        moments = (NOON - 1, NOON, NOON + 1, 0, -1)
        documents = [*(point(created_at=moment) for moment in moments), point(created_at=None), point()]
        wanted: list[Filter] = [
            Leaf("created_at", op, moment)
            for op in ("eq", "ne", "gt", "gte", "lt", "lte")
            for moment in moments
        ]
        await _check(store, documents, wanted)

    async def test_a_filter_restricts_counts_and_deletes(self, store: VectorStore) -> None:
        """What does not pass stays."""
        scope, documents = fresh_scope(), _documents()
        await store.upsert(scope, documents)
        where = And((Leaf("metadata.year", "gte", 2020), Not(of_version("none:1"))))
        passing = _passing(documents, where)
        assert 0 < len(passing) < len(documents)
        assert await store.count(scope, where) == len(passing)
        assert await store.delete(scope, where) == len(passing)
        assert await found_ids(store, scope, And(())) == set(ids_of(documents)) - passing

    async def test_a_metadata_key_is_never_taken_for_a_field(self, store: VectorStore) -> None:
        """Nor the other way round."""
        scope = fresh_scope()
        await store.upsert(scope, [point(metadata={"title": "x", "tenant_id": "y"})])
        for field in ("title", "tenant_id", "metadata", "metadata.metadata.title", "text"):
            assert await found_ids(store, scope, Leaf(field, "exists", value=True)) == set()


def _documents() -> list[Point]:
    return [point(metadata=metadata) for metadata in METADATA] + [point()]


def _passing(documents: list[Point], where: Filter) -> set[str]:
    return {document.id for document in documents if matches(where, payload_fields(document.payload))}


async def _check(store: VectorStore, documents: list[Point], wanted: list[Filter]) -> None:
    scope = fresh_scope()
    await store.upsert(scope, documents)
    for where in wanted:
        assert await found_ids(store, scope, where) == _passing(documents, where), where


def _of(payload: dict[str, Any]) -> Point:
    return point(**payload)
