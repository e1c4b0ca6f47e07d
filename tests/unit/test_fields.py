"""Filters in the engine mean what `core.filters.matches` says, whatever the fields, the values and the nesting."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragstone.core.filters import And, Filter, Leaf, Not, Or, matches, payload_fields
from ragstone.core.models import Point
from ragstone.testing.vector_store_contract.scenes import DIMENSION, fresh_scope, ids_of, point
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.fields import number_key, scope_key, tokens_of, value_token
from tests.engines import open_engine, quick_folder, store_of

KEYS = ("a", "a.b", "a.b[0]", "", '"', "'; --", "a\x00b", "\ud800", "ключ", "tokens", "x" * 300)
BOUNDS = (2**53, 2**53 - 1, -(2**53), 2020, 0, 1, -1)
texts = st.sampled_from(["", "1", "1.0", "true", "red", "réd", "\ud800", "x" * 300]) | st.text(max_size=3)
exact_numbers = (
    st.sampled_from(BOUNDS) | st.integers(-3, 3) | st.sampled_from([0.5, -0.0, 1.0, 1e-300, 2020.0])
)
any_numbers = exact_numbers | st.sampled_from([2**53 + 1, -(2**53) - 1, 10**30, -(10**400), 1e300, 5e-324])
stored = st.none() | st.booleans() | texts | any_numbers
metadata = st.dictionaries(
    st.sampled_from(KEYS), stored | st.lists(stored, max_size=3) | st.just({"b": 1}), max_size=4
)
payloads = st.fixed_dictionaries(
    {"metadata": metadata},
    optional={"title": texts, "source": st.none() | texts, "created_at": st.integers(-5, 5)},
)
fields = st.sampled_from([f"metadata.{key}" for key in KEYS if key]) | st.sampled_from(
    ["title", "source", "filename", "metadata.missing"]
)
wanted = st.booleans() | texts | exact_numbers
orderings = st.sampled_from(["gt", "gte", "lt", "lte"])
leaves = (
    st.builds(Leaf, fields, st.sampled_from(["eq", "ne"]), wanted)
    | st.builds(Leaf, fields, st.just("in"), st.lists(wanted, min_size=1, max_size=3).map(tuple))
    | st.builds(Leaf, fields, orderings, exact_numbers)
    | st.builds(Leaf, st.just("created_at"), orderings | st.sampled_from(["eq", "ne"]), st.integers(-5, 5))
    | st.builds(Leaf, fields, st.just("exists"), st.booleans())
)
filters: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda inner: st.builds(Not, inner)
    | st.builds(And, st.lists(inner, max_size=3).map(tuple))
    | st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def store() -> Iterator[EdgeVectorStore]:
    with quick_folder() as folder, open_engine(folder, dimension=DIMENSION) as engine:
        yield store_of(engine, dimension=DIMENSION)


async def passing(store: EdgeVectorStore, documents: list[Point], wheres: list[Filter]) -> list[set[str]]:
    scope = fresh_scope()
    await store.upsert(scope, documents)
    return [set(ids_of(await store.find(scope, where, limit=99))) for where in wheres]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(bodies=st.lists(payloads, min_size=1, max_size=6), wheres=st.lists(filters, min_size=1, max_size=6))
def test_the_engine_passes_what_the_meaning_passes(
    store: EdgeVectorStore, bodies: list[dict[str, Any]], wheres: list[Filter]
) -> None:
    documents = [point(**body) for body in bodies]

    found = asyncio.run(passing(store, documents, wheres))

    for where, ids in zip(wheres, found, strict=True):
        expected = {item.id for item in documents if matches(where, payload_fields(item.payload))}
        assert ids == expected, where


def test_equal_values_have_equal_tokens_and_no_others_do() -> None:
    values: list[Any] = [True, "True", "true", 1, "1", 1.5, 2**53, 2**53 + 1, 10**30, "", "e"]
    tokens = [value_token(field, value) for field in ("metadata.a", "metadata.a2") for value in values]

    assert len(set(tokens)) == len(tokens)
    assert value_token("f", 1) == value_token("f", 1.0)
    assert value_token("f", 0) == value_token("f", -0.0)
    assert value_token("f", 10**22) == value_token("f", 1e22)


def test_field_and_value_do_not_run_together() -> None:
    assert not {*tokens_of({"a": "bc"})} & {*tokens_of({"ab": "c"})}


def test_number_keys_are_safe_names() -> None:
    assert all(number_key(f"metadata.{key}").isalnum() for key in KEYS)
    assert number_key("created_at") == "created_at"


def test_scope_keys_are_distinct() -> None:
    assert scope_key("a/b", "c") != scope_key("a", "b") != scope_key(str(uuid.UUID(int=0)), "b")
