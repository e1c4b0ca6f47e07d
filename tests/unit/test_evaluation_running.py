"""Asking: in which order, how many at a time, and which documents a name means."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from ragstone.cli.evaluation_server import EvaluatedServer
from ragstone.client import AsyncRagstone
from ragstone.evaluation.judging import Row
from ragstone.evaluation.questions import Question
from ragstone.evaluation.replies import QuestionFailed
from ragstone.evaluation.running import Answers, Side, ask_all

QUESTIONS = [Question(str(number)) for number in range(6)]
REPLY = {"answer": "", "model": "m", "abstained": True, "sources": [], "citations": [], "metadata": {}}


class Server:
    """Notes what it is asked, and how many questions it has at a time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Mapping[str, Any]] = []
        self.at_once = self.most_at_once = 0

    def side(self, mode: str) -> Side:
        async def ask(body: Mapping[str, Any]) -> Mapping[str, Any]:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.asked.append((body["query"], mode))
            self.bodies.append(body)
            await asyncio.sleep(0.001 * (6 - int(body["query"])))
            self.at_once -= 1
            if body["query"] == "3":
                raise QuestionFailed("unavailable", "full")
            return REPLY

        return Side(ask, {"mode": mode, "top_k": 5}, {})


class TestAsking:
    async def test_each_question_is_put_to_both_sides_and_who_comes_first_changes(self) -> None:
        server = Server()

        await ask_all(QUESTIONS[:3], [server.side("a"), server.side("b")], Answers(2), concurrency=1)

        assert server.asked == [("0", "a"), ("0", "b"), ("1", "b"), ("1", "a"), ("2", "a"), ("2", "b")]
        assert server.most_at_once == 1

    async def test_rows_are_in_the_order_of_the_questions_however_many_are_asked_at_a_time(self) -> None:
        server, done, answers = Server(), list[Row](), Answers(1)

        await ask_all(QUESTIONS, [server.side("a")], answers, concurrency=4, done=done.append)

        (rows,) = answers.of_each_side()
        assert [row.key for row in rows] == ["0", "1", "2", "3", "4", "5"]
        assert [row.error is not None for row in rows] == [False, False, False, True, False, False]
        assert len(done) == 6
        assert server.most_at_once == 4

    async def test_a_filter_is_sent_with_its_question_alone(self) -> None:
        server = Server()
        filtered = Question("1", filter={"field": "title", "eq": "x"})

        await ask_all([QUESTIONS[0], filtered], [server.side("a")], Answers(1), concurrency=1)

        assert server.bodies == [
            {"mode": "a", "top_k": 5, "query": "0"},
            {"mode": "a", "top_k": 5, "query": "1", "filter": {"field": "title", "eq": "x"}},
        ]

    async def test_interrupted_it_leaves_what_is_known_by_then(self) -> None:
        server, answers = Server(), Answers(2)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.020):
                await ask_all(QUESTIONS * 100, [server.side("a"), server.side("b")], answers, concurrency=1)

        first, second = answers.of_each_side()
        assert abs(len(first) - len(second)) <= 1
        assert [row.key for row in first] == [question.key for question in (QUESTIONS * 100)[: len(first)]]


class Documents:
    """The API's list of documents, one a page."""

    def __init__(self, *documents: dict[str, Any]):
        self._documents = documents
        self.fields: list[str] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        params = request.url.params
        where = json.loads(params["filter"])
        self.fields.append(where["field"])
        field = "id" if where["field"] == "document_id" else where["field"]
        found = [document for document in self._documents if document[field] in where["in"]]
        place = int(params.get("cursor", 0))
        page = {
            "items": found[place : place + 1],
            "next_cursor": str(place + 1) if place + 1 < len(found) else None,
        }
        return httpx2.Response(200, json=page)


def document(id: str, source: str, filename: str, title: str) -> dict[str, Any]:  # noqa: A002
    return {**ANY_DOCUMENT, "id": id, "source": source, "filename": filename, "title": title}


ANY_DOCUMENT: dict[str, Any] = {
    **dict.fromkeys(("parent_id", "pages", "encoding", "error", "pending", "expires_at")),
    **dict.fromkeys(("bytes", "version", "chunks", "characters"), 1),
    "children": [],
    "collection": "default",
    "media_type": "text/plain",
    "sha256": "",
    "status": "ready",
    "metadata": {},
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}


class TestNames:
    async def named(self, documents: Documents, *names: str) -> dict[str, frozenset[str]]:
        async with AsyncRagstone(transport=httpx2.MockTransport(documents.answer)) as client:
            return await EvaluatedServer(client, "default").named(names)

    async def test_a_source_comes_before_a_file_name_and_that_before_a_title(self) -> None:
        documents = Documents(
            document("1", "a", "x", "x"), document("2", "b", "a", "x"), document("3", "c", "b.md", "a")
        )

        assert await self.named(documents, "a", "b.md", "3", "none") == {
            "a": frozenset("1"),
            "b.md": frozenset("3"),
            "3": frozenset("3"),
        }

    async def test_all_documents_of_an_ambiguous_name_are_found_on_all_pages(self) -> None:
        documents = Documents(*(document(number, number, "x", "Twins") for number in "123"))

        assert await self.named(documents, "Twins") == {"Twins": frozenset("123")}

    async def test_once_all_are_known_nothing_more_is_asked(self) -> None:
        documents = Documents(document("1", "a", "x", "x"))

        await self.named(documents, "1")

        assert documents.fields == ["document_id"]
