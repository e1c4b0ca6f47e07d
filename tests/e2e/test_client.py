"""The Python client as its users have it: against a real server, and with a model that is slow, down, or left."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, assert_type

import httpx2
import pytest
import pytest_asyncio

from ragstone.api.schemas.documents import DocumentReply, UploadReply
from ragstone.cli.transport import StreamingASGITransport
from ragstone.client import (
    AnswerEvent,
    AnswerReply,
    AsyncRagstone,
    Conflict,
    DoneEvent,
    JobFailed,
    MetaEvent,
    NotFound,
    Progress,
    Ragstone,
    SourcesEvent,
    TokenEvent,
)
from ragstone.config.settings import Settings, load_settings
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.live import Live, live_server
from tests.servers import Server
from tests.waiting import until

REFUNDS = "# Refunds\n\nRefunds are paid within fourteen days of the return.\n"
QUESTION = "Are refunds paid within fourteen days of the return?"
TIMED = {"metadata"}  # differs with every question


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Ragstone]:
    with Ragstone(server.url) as opened:
        yield opened


@pytest.fixture
def collection(client: Ragstone) -> str:
    """One for each test."""
    return client.collections.create(f"c-{uuid.uuid4().hex}", description="of a test").name


@pytest.fixture
def refunds(client: Ragstone, collection: str) -> DocumentReply:
    """A document that is searchable."""
    return client.upload_text(REFUNDS, source="refunds", collection=collection, wait=True).document


class TestUploads:
    def test_a_file_is_followed_from_its_first_byte_until_it_is_searchable(
        self, client: Ragstone, collection: str, tmp_path: Path
    ) -> None:
        (tmp_path / "refunds.md").write_text(REFUNDS)
        seen: list[Progress] = []

        reply = client.upload(
            tmp_path / "refunds.md", collection=collection, wait=True, on_progress=seen.append
        )

        assert_type(reply, UploadReply)
        assert (reply.document.status, reply.document.source) == ("ready", "refunds.md")
        assert (seen[0].stage, seen[0].done, seen[0].total) == ("send", len(REFUNDS), len(REFUNDS))
        assert (seen[-1].stage, seen[-1].done, seen[-1].job) == ("done", 1, reply.job)

    def test_one_that_never_will_be_searchable_says_why(self, client: Ragstone, collection: str) -> None:
        with pytest.raises(JobFailed, match="no_text: the document holds no text") as told:
            client.upload(b"   ", filename="blank.txt", collection=collection, wait=True)

        assert (told.value.code, told.value.job.state) == ("no_text", "failed")

    def test_one_that_is_here_already_is_not_waited_for(
        self, client: Ragstone, collection: str, refunds: DocumentReply
    ) -> None:
        again = client.upload_text(REFUNDS, source="refunds", collection=collection, wait=True)

        assert (again.document, again.job) == (refunds, None)

    def test_of_many_files_each_has_its_own_outcome(self, client: Ragstone, collection: str) -> None:
        files = {"a.txt": b"A fine text.", "b.zip": b"PK\x03\x04 no archive"}
        reply = client.upload_many(files, collection=collection, metadata={"n": 1})

        accepted = [item.document for item in reply.items if item.document is not None]
        assert [item.filename for item in reply.items] == ["a.txt", "b.zip"]
        assert accepted[0].metadata == {"n": 1}

    async def test_one_whose_reply_is_lost_is_sent_again_and_creates_nothing_twice(
        self, app: Any, container: Any
    ) -> None:
        losing = LosingTransport(app)
        async with AsyncRagstone("http://127.0.0.1", transport=losing) as awaited:
            name = (await awaited.collections.create("lost-replies")).name
            losing.is_losing = True
            reply = await awaited.upload(b"Without a name it is a new document each time.", collection=name)

            listed = [document.id async for document in awaited.documents.list(collection=name)]
        assert listed == [reply.document.id]
        assert (losing.uploads, reply.document.version) == (2, 1)


class LosingTransport(StreamingASGITransport):
    """The application gets every upload; its reply to the first one goes astray."""

    is_losing = False
    uploads = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass it on."""
        response = await super().handle_async_request(request)
        if request.url.path == "/documents" and request.method == "POST":
            self.uploads += 1
            if self.is_losing:
                self.is_losing = False
                await response.aread()
                raise httpx2.ReadError("cut")
        return response


class TestAnswers:
    def test_a_stream_adds_up_to_the_answer(
        self, client: Ragstone, collection: str, refunds: DocumentReply
    ) -> None:
        seen: list[AnswerEvent] = []
        with client.stream(QUESTION, collection=collection) as events:
            for event in events:
                assert_type(event, AnswerEvent)
                seen.append(event)

        answer = client.query(QUESTION, collection=collection)
        assert_type(answer, AnswerReply)
        assert events.answer.model_dump(exclude=TIMED) == answer.model_dump(exclude=TIMED)
        assert [type(event) for event in seen][:3] == [MetaEvent, SourcesEvent, TokenEvent]
        assert isinstance(seen[-1], DoneEvent)
        assert answer.citations[0].source.document_id == refunds.id

    def test_an_abstention_keeps_its_reason(self, client: Ragstone, collection: str) -> None:
        answer = client.query("What is the colour of the moon?", collection=collection)

        assert (answer.abstained, answer.reason, answer.sources) == (True, "no_results", [])

    def test_a_search_takes_a_filter(self, client: Ragstone, collection: str, refunds: DocumentReply) -> None:
        nothing = client.search("refunds", collection=collection, filter={"field": "title", "eq": "x"})
        found = client.search("refunds", collection=collection, top_k=1, mode="sparse")

        assert (nothing.results, [source.document_id for source in found.results]) == ([], [refunds.id])
        assert found.metadata["total_ms"] > 0

    def test_of_a_refusal_the_code_is_kept(self, client: Ragstone) -> None:
        with pytest.raises(NotFound, match="collection_not_found") as told:
            client.query(QUESTION, collection="none")

        assert (told.value.status, told.value.retryable) == (404, False)
        assert told.value.request_id


class TestDocuments:
    def test_a_list_is_read_page_by_page(self, client: Ragstone, collection: str) -> None:
        for number in range(3):
            client.upload_text(f"Number {number}.", title=str(number), collection=collection)
        listing = client.documents.list(collection=collection, sort="title", page_size=2)

        assert [document.title for document in listing] == ["0", "1", "2"]
        assert [len(page.items) for page in listing.pages()] == [2, 1]
        cursor = listing.page().next_cursor
        rest = client.documents.list(collection=collection, sort="title", page_size=2, cursor=cursor)
        assert [document.title for document in rest.page().items] == ["2"]

    def test_one_lives_through_all_its_changes(
        self, client: Ragstone, collection: str, refunds: DocumentReply
    ) -> None:
        documents = client.documents
        assert documents.text(refunds.id) == REFUNDS
        assert documents.content(refunds.id).decode() == REFUNDS
        assert [chunk.index for chunk in documents.chunks(refunds.id)] == [0]
        assert documents.update(refunds.id, title="Money back").title == "Money back"

        replaced = documents.replace(refunds.id, b"Refunds are no more.", filename="new.txt", wait=True)
        assert (replaced.document.version, replaced.document.filename) == (2, "new.txt")
        again = documents.replace_text(refunds.id, "Refunds are back.", wait=True)
        restored = documents.restore(refunds.id, 1)
        assert restored.job is not None
        client.jobs.wait(restored.job.id)
        assert documents.content(refunds.id).decode() == REFUNDS
        assert [kept.version for kept in documents.versions(refunds.id).items][:2] == [4, 3]
        assert again.document.version == 3

    def test_a_deleted_one_is_gone(self, client: Ragstone, collection: str, refunds: DocumentReply) -> None:
        where = {"field": "source", "eq": "refunds"}
        assert client.documents.delete_matching(where, collection=collection, dry_run=True).documents == 1
        with pytest.raises(Conflict, match="collection_not_empty"):
            client.collections.delete(collection)

        assert client.documents.delete(refunds.id).document_id == refunds.id

        with pytest.raises(NotFound):
            client.documents.get(refunds.id)
        assert client.collections.delete(collection).name == collection

    def test_a_job_is_followed_until_its_end(
        self, client: Ragstone, collection: str, refunds: DocumentReply
    ) -> None:
        job = client.documents.reindex(refunds.id).job
        assert job is not None
        with client.jobs.events(job.id) as events:
            states = [event.job.state for event in events]

        assert states[-1] == "succeeded"
        assert job.id in {listed.id for listed in client.jobs.list(document_id=refunds.id)}

    def test_operators_are_answered(self, client: Ragstone, tmp_path: Path) -> None:
        assert (client.live().status, client.ready().status) == ("alive", "ready")
        assert client.health().components is not None
        assert "ragstone_" in client.metrics()
        assert client.admin.back_up(str(tmp_path / "backup")).missing_blobs == []
        assert client.admin.repair().missing_originals == ()
        assert client.admin.consistency().missing_originals == ()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(model: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    """A server whose model can be told to fail."""
    async with live_server(_settings(tmp_path_factory.mktemp("client"), model), HashingEmbedder()) as live:
        await live.api.ready(REFUNDS.encode(), "refunds.md")
        yield live


def _settings(folder: Path, model: ScriptedUpstream) -> Settings:
    return load_settings(
        data_dir=folder / "data",
        openai_base_url=model.base_url,
        openai_model="scripted",
        retry_min_wait=0.01,
        retry_max_wait=0.05,
    )


@pytest.fixture
def upstream(model: ScriptedUpstream) -> ScriptedUpstream:
    """The model, without faults and with no request seen."""
    model.clear()
    model.requests.clear()
    return model


@pytest.mark.asyncio(loop_scope="module")
class TestModel:
    async def test_leaving_a_stream_stops_the_model(self, live: Live, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("hang_mid"))
        async with AsyncRagstone(live.url) as client, client.stream(QUESTION) as events:
            async for event in events:
                if isinstance(event, TokenEvent):
                    break

        await upstream.wait_until_idle(1.0)
        assert upstream.requests[-1].outcome == "client_left"

    async def test_so_does_leaving_it_in_a_thread(self, live: Live, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("hang_mid"))

        def read_a_piece() -> str:
            with Ragstone(live.url) as client, client.stream(QUESTION) as events:
                while not events.text:
                    next(events)
                return events.text

        assert await asyncio.to_thread(read_a_piece)
        await upstream.wait_until_idle(1.0)
        assert upstream.requests[-1].outcome == "client_left"

    async def test_cancelling_a_question_stops_the_model(
        self, live: Live, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("hang_mid"))
        async with AsyncRagstone(live.url) as client:
            asking = asyncio.create_task(client.query(QUESTION))
            await until(lambda: _holds(upstream.open_requests))
            asking.cancel()
            await upstream.wait_until_idle(1.0)

        assert upstream.requests[-1].outcome == "client_left"
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def test_an_answer_without_the_model_says_so(self, live: Live, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("status", code=503, times=0))

        async with AsyncRagstone(live.url) as client:
            answer = await client.query(QUESTION)

        assert answer.degraded == ["llm"]
        assert answer.metadata["retries"]


async def _holds(found: object) -> bool:
    return bool(found)
