"""`POST /query`: answers whose every claim points at its place."""

import asyncio
import json
from dataclasses import asdict
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI

from ragstone.api.schemas.query import SourceModel
from ragstone.bootstrap import Container
from ragstone.core.answers import fold
from ragstone.core.models import Done, Failed, Scope
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.asking import Ask
from ragstone.pipelines.searching import Search
from tests.api.test_search import timings
from tests.apiclient import Api
from tests.asgi import call
from tests.conftest import NEVER, CountingEmbedder

POLICY = """# Refund policy 🙂

Refunds are paid within fourteen days of the return. Größere Beträge dauern länger 👨‍👩‍👧. 退款在十四天内支付。

# Shipping

Parcels are shipped from Hamburg every morning. The parcel service collects them at nine.
"""
KIT = """# Kit

The parts of the sailing kit are:

- a compass
- a folded map. It is waterproof.
- a whistle

| Sailing kit | Weight |
| --- | --- |
| The compass | 90 g |
| The whistle | 12 g |
"""
QUESTION = "Are refunds paid within fourteen days of the return?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def collection(api: Api) -> str:
    """A collection with the policy, shared by the module."""
    return await api.new_collection()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def policy(api: Api, collection: str) -> dict[str, Any]:
    return await api.ready(
        POLICY.encode(), "policy.md", collection=collection, metadata='{"team": "support"}'
    )


async def test_lists_and_rows_of_tables_are_told_whole_and_every_line_is_verified(api: Api) -> None:
    collection = await api.new_collection()
    await api.ready(KIT.encode(), "kit.md", collection=collection)

    parts = await api.query("List the parts of the sailing kit", collection=collection)
    weight = await api.query("How many g has the compass?", collection=collection)

    assert parts["answer"] == (
        "The parts of the sailing kit are: [1]\n- a compass [1]\n- a folded map. [1] It is waterproof. [1]\n- a whistle [1]"
    )
    assert weight["answer"].startswith("Sailing kit | Weight [1]\nThe compass | 90 g [1]")
    assert {parts["grounded"], weight["grounded"]} == {"full"}
    assert all(citation["verified"] for reply in (parts, weight) for citation in reply["citations"])


async def test_an_answer_is_cited_and_verified_on_both_sides(
    api: Api, collection: str, policy: dict[str, Any]
) -> None:
    answer = await api.query(QUESTION, collection=collection)
    text = await api.text(policy["id"])

    assert (answer["abstained"], answer["grounded"], answer["finish_reason"]) == (False, "full", "stop")
    assert answer["citations"]
    for citation in answer["citations"]:
        source = citation["source"]
        claim = answer["answer"][citation["answer"]["start"] : citation["answer"]["end"]]
        assert source["quote"] == text[source["start"] : source["end"]]
        assert claim == " ".join(source["quote"].split())
        assert (citation["verified"], citation["support"]) == (True, 1.0)
        assert f"[{citation['n']}]" in answer["answer"]
        assert source["chunk_id"] == answer["sources"][citation["n"] - 1]["chunk_id"]
    assert "Refunds are paid within fourteen days of the return." in answer["answer"]


async def test_offsets_are_code_points_also_behind_emoji_and_ideographs(
    api: Api, collection: str, policy: dict[str, Any]
) -> None:
    text = await api.text(policy["id"])

    answer = await api.query("Parcels are shipped from Hamburg every morning", collection=collection)

    source, *_ = [c["source"] for c in answer["citations"] if "Hamburg" in c["source"]["quote"]]
    assert text[source["start"] : source["end"]] == "Parcels are shipped from Hamburg every morning."
    assert source["start"] > text.index("退款")
    for found in answer["sources"]:
        assert found["text"] == text[found["start"] : found["end"]]


async def test_an_answer_has_all_its_members(api: Api, collection: str, policy: dict[str, Any]) -> None:
    answer = await api.query(QUESTION, collection=collection)

    assert set(answer) == {
        "question", "answer", "collection", "model", "finish_reason", "grounded", "unsupported", "abstained",
        "reason", "degraded", "citations", "sources", "usage", "metadata",
    }  # fmt: skip
    assert (answer["question"], answer["collection"], answer["model"]) == (QUESTION, collection, "extractive")
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert answer["degraded"] == answer["unsupported"] == []
    assert answer["sources"][0]["metadata"] == {"team": "support"}


class TestAbstention:
    async def test_no_documents_no_answer(self, api: Api) -> None:
        answer = await api.query(QUESTION, collection=await api.new_collection())

        assert (answer["abstained"], answer["reason"], answer["grounded"]) == (True, "no_results", "none")
        assert answer["citations"] == answer["sources"] == answer["unsupported"] == []
        assert answer["answer"]

    async def test_another_subject_is_not_answered(
        self, api: Api, collection: str, policy: dict[str, Any]
    ) -> None:
        answer = await api.query(
            "Who won the football world cup, Brazil or Argentina?", collection=collection
        )

        assert answer["abstained"]
        assert answer["reason"] in {"low_score", "insufficient_context"}
        assert answer["citations"] == []
        assert answer["sources"]

    async def test_a_filter_that_nothing_passes_is_no_results(
        self, api: Api, collection: str, policy: dict[str, Any]
    ) -> None:
        nothing = {"field": "metadata.team", "eq": "sales"}

        answer = await api.query(QUESTION, collection=collection, filter=nothing)

        assert answer["reason"] == "no_results"


class TestFold:
    @pytest.mark.parametrize(
        "question",
        [
            QUESTION,
            "退款在十四天内支付。",
            "Größere Beträge dauern länger 👨‍👩‍👧.",
            "Who won the world cup?",
            "🙂",
        ],
    )
    @pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
    async def test_the_json_answer_is_the_fold_of_the_stream(
        self,
        api: Api,
        container: Container,
        collection: str,
        policy: dict[str, Any],
        question: str,
        mode: Any,
    ) -> None:
        answer = await api.query(question, collection=collection, mode=mode)

        events = container.query.stream(
            Ask(Search(Scope(collection=collection), question, 5, mode=mode)),
            request_id="r",
            stopwatch=Stopwatch(),
        )
        folded = await fold(events)

        assert _comparable(asdict(folded)) == _comparable(answer)

    async def test_the_last_event_is_terminal_and_there_is_one(
        self, container: Container, collection: str, policy: dict[str, Any]
    ) -> None:
        ask = Ask(Search(Scope(collection=collection), QUESTION, 5))
        stream = container.query.stream(ask, request_id="r", stopwatch=Stopwatch())
        events = [event async for event in stream]

        assert [isinstance(event, Done | Failed) for event in events].count(True) == 1
        assert isinstance(events[-1], Done)


SHOWN = SourceModel.model_fields
"""Of a source; it has more that is no part of a reply."""


def _comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """As JSON has it, without the times and what never travels."""
    plain = dict(answer)
    for only_inside in ("metadata", "failure"):
        plain.pop(only_inside, None)
    plain["usage"] = {name: plain["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
    plain["sources"] = [
        {name: value for name, value in source.items() if name in SHOWN} for source in plain["sources"]
    ]
    return _listed(plain)  # type: ignore[no-any-return]


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return value


class TestLeaving:
    @pytest.mark.parametrize("path", ["/query", "/search"])
    async def test_a_client_that_leaves_cancels_what_is_done_for_it(
        self, app: FastAPI, embedder: CountingEmbedder, container: Container, path: str
    ) -> None:
        question = f"A {NEVER} question to {path}"
        body = json.dumps({"query": question}).encode()
        headers = [("host", "localhost"), ("content-type", "application/json")]

        async with asyncio.timeout(1):  # the client of `call` leaves once its body is read
            reply = await call(app, "POST", path, headers=headers, body=[body])

        assert reply.code == "client_gone"
        assert embedder.cancelled[-1] == question

    async def test_a_deadline_cancels_it_too(self, api: Api, embedder: CountingEmbedder) -> None:
        question = f"A {NEVER} question with a deadline"

        await api.refused("POST", "/query", 504, json={"query": question, "timeout_s": 0.05})

        assert embedder.cancelled[-1] == question


class TestRequest:
    async def test_history_is_accepted(self, api: Api, collection: str, policy: dict[str, Any]) -> None:
        turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]

        assert not (await api.query(QUESTION, collection=collection, history=turns))["abstained"]

    async def test_top_k_bounds_the_sources(self, api: Api, collection: str, policy: dict[str, Any]) -> None:
        assert len((await api.query(QUESTION, collection=collection, top_k=1))["sources"]) == 1

    async def test_a_deadline_that_cannot_be_met_is_504(
        self, api: Api, collection: str, policy: dict[str, Any]
    ) -> None:
        body = {"query": QUESTION, "collection": collection, "timeout_s": 1e-9}

        error = await api.refused("POST", "/query", 504, json=body)

        assert (error["code"], error["retryable"]) == ("deadline_exceeded", True)

    async def test_the_times_are_those_of_the_header(
        self, api: Api, collection: str, policy: dict[str, Any]
    ) -> None:
        response = await api.call("POST", "/query", json={"query": QUESTION, "collection": collection})

        told, metadata = timings(response.headers["server-timing"]), response.json()["metadata"]
        assert {
            "embedding",
            "search",
            "evidence",
            "generation",
            "verification",
            "delivery",
            "first_token",
            "total",
        } == set(told)
        assert {name: metadata[f"{name}_ms"] for name in told} == told
        assert metadata["request_id"] == response.headers["x-request-id"]
        assert metadata["retries"] == {}
