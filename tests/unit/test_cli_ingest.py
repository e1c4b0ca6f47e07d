"""What an ingest sends, follows and reports, over the application in this process."""

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from ragstone.cli import ingest as ingesting
from ragstone.cli.following import LONGEST_QUERY, batches
from ragstone.cli.ingest import READ_AT_ONCE, ingest_files, tally_of
from ragstone.cli.local_files import find_files
from ragstone.cli.patience import Patience
from ragstone.cli.tally import Tally
from ragstone.cli.transport import StreamingASGITransport
from ragstone.client import AsyncRagstone, CallFailed, ConnectionLost, NotFound
from tests.apiclient import Api
from tests.waiting import until

SERVER = "http://127.0.0.1"


class NotingTransport(StreamingASGITransport):
    """Remembers what was called, and lets a test do something in between."""

    def __init__(self, app: Any):
        super().__init__(app)
        self.calls: list[str] = []
        self.before_upload: Callable[[], Awaitable[None] | None] = lambda: None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass it on."""
        self.calls.append(f"{request.method} {request.url.path}")
        if request.method == "POST" and (doing := self.before_upload()) is not None:
            await doing
        return await super().handle_async_request(request)

    @property
    def uploads(self) -> int:
        """How many there were."""
        return self.calls.count("POST /documents")


@pytest.fixture
def noting(app: Any, container: Any) -> NotingTransport:
    return NotingTransport(app)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`docs` in the working directory, with two files."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "docs"
    made.mkdir()
    (made / "cats.txt").write_text("Cats sleep most of the day.")
    (made / "dogs.txt").write_text("Dogs bark at night.")
    return made


async def ingest(
    transport: httpx2.AsyncBaseTransport,
    collection: str,
    *,
    between: Callable[[], None] = lambda: None,
    **patience: float,
) -> Tally:
    """Find what is in `docs`, let something happen, and ingest."""
    found = find_files([Path("docs")])
    between()
    tally = tally_of(found)
    async with AsyncRagstone(SERVER, transport=transport) as client:
        patient = client.with_options(retries=Patience(say=tally.wait_for, **patience))
        await ingest_files(patient, found.files, collection, tally)
    return tally


def counts(tally: Tally) -> tuple[int, int, int, int]:
    shown = tally.as_json()
    return shown["new"], shown["changed"], shown["unchanged"], shown["failed"]


def failures(tally: Tally) -> list[tuple[str, str]]:
    return sorted((failure.source, failure.code) for failure in tally.failures)


class TestAgain:
    async def test_what_is_unchanged_is_asked_for_at_once_and_not_sent(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        assert counts(await ingest(noting, collection)) == (2, 0, 0, 0)
        noting.calls.clear()

        tally = await ingest(noting, collection)

        assert counts(tally) == (0, 0, 2, 0)
        assert tally.bytes_sent == 0
        assert noting.calls == ["GET /documents"]

    @pytest.mark.parametrize("content", ["Cats sleep all day and all night.", "Cats sleep most of the way."])
    async def test_what_has_changed_is_a_new_version(
        self, noting: NotingTransport, api: Api, collection: str, folder: Path, content: str
    ) -> None:
        await ingest(noting, collection)
        (folder / "cats.txt").write_text(content)

        assert counts(await ingest(noting, collection)) == (0, 1, 1, 0)

        (cats,) = [item for item in await documents(api, collection) if item["source"] == "docs/cats.txt"]
        assert (cats["version"], await api.text(cats["id"])) == (2, content)

    async def test_what_failed_is_tried_again(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        (folder / "blank.txt").write_text("   ")
        assert failures(await ingest(noting, collection)) == [("docs/blank.txt", "no_text")]
        noting.calls.clear()

        assert failures(await ingest(noting, collection)) == [("docs/blank.txt", "no_text")]
        assert noting.uploads == 1

    async def test_a_failed_version_is_a_failure_although_the_one_before_is_searchable(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        await ingest(noting, collection)
        (folder / "cats.txt").write_text("   ")

        assert failures(await ingest(noting, collection)) == [("docs/cats.txt", "no_text")]

    async def test_the_version_that_is_searchable_is_unchanged_although_a_later_one_failed(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        before = (folder / "cats.txt").read_text()
        for content in (before, "   "):
            (folder / "cats.txt").write_text(content)
            await ingest(noting, collection)
        (folder / "cats.txt").write_text(before)

        assert counts(await ingest(noting, collection)) == (0, 0, 2, 0)

    async def test_one_that_was_deleted_is_new(
        self, noting: NotingTransport, api: Api, collection: str, folder: Path
    ) -> None:
        await ingest(noting, collection)
        for document in await documents(api, collection):
            await api.delete(f"/documents/{document['id']}")

        assert counts(await ingest(noting, collection)) == (2, 0, 0, 0)


async def documents(api: Api, collection: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get("/documents", collection=collection))["items"]
    return items


class TestInWork:
    """The encoder holds everything back until it is told to go on."""

    @pytest.fixture
    async def held(self, tmp_path: Path) -> AsyncIterator["Held"]:
        from ragstone.api.main import create_app
        from ragstone.bootstrap import build_container
        from ragstone.config.settings import load_settings

        settings = load_settings(data_dir=tmp_path / "data")
        held = Held()
        async with build_container(settings, embedder=held) as container:
            held.app = create_app(settings, container)
            yield held

    async def test_an_ingest_that_was_stopped_goes_on_without_sending_again(
        self, held: "Held", folder: Path
    ) -> None:
        await stopped_ingest(held)
        transport = NotingTransport(held.app)
        going_on = asyncio.create_task(ingest(transport, "default"))
        held.may_go_on.set()

        assert counts(await going_on) == (2, 0, 0, 0)
        assert transport.uploads == 0

    async def test_what_changed_while_it_was_in_work_is_sent(self, held: "Held", folder: Path) -> None:
        await stopped_ingest(held)
        (folder / "cats.txt").write_text("Cats purr.")
        transport = NotingTransport(held.app)
        held.may_go_on.set()

        assert counts(await ingest(transport, "default")) == (2, 0, 0, 0)
        assert transport.uploads == 1
        assert (await ingest(transport, "default")).as_json()["unchanged"] == 2

    async def test_one_that_is_deleted_while_it_is_in_work_has_failed(
        self, held: "Held", folder: Path
    ) -> None:
        transport, api = NotingTransport(held.app), held.api
        running = asyncio.create_task(ingest(transport, "default"))
        await until(lambda: has_documents(api, 2))
        for document in await documents(api, "default"):
            await api.delete(f"/documents/{document['id']}")

        assert {code for _, code in failures(await running)} == {"document_not_found"}


class Held:
    """A quick encoder that waits."""

    fingerprint = "held"
    dimension = 256

    def __init__(self) -> None:
        from ragstone.testing.embedders import HashingEmbedder

        self._inner = HashingEmbedder(dimension=self.dimension)
        self.may_go_on = asyncio.Event()
        self.app: Any = None

    @property
    def api(self) -> Api:
        """The application over it."""
        transport = StreamingASGITransport(self.app)
        return Api(httpx2.AsyncClient(transport=transport, base_url=SERVER))

    def legibility(self, text: str) -> float:
        """Never asked."""
        raise NotImplementedError

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """Never asked."""
        raise NotImplementedError

    async def embed_query(self, text: str) -> Any:
        """Never asked."""
        raise NotImplementedError

    async def embed_documents(self, inputs: Any) -> Any:
        """Once it may."""
        await self.may_go_on.wait()
        return await self._inner.embed_documents(inputs)

    async def close(self) -> None:
        """Nothing is open."""


async def has_documents(api: Api, number: int) -> bool:
    return len(await documents(api, "default")) == number


async def stopped_ingest(held: Held) -> None:
    """Both files were sent, and then Ctrl-C."""
    running = asyncio.create_task(ingest(NotingTransport(held.app), "default"))
    await until(lambda: has_documents(held.api, 2))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


class TestFilesThatMove:
    async def test_one_that_went_is_a_failure_of_its_own(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        tally = await ingest(noting, collection, between=(folder / "cats.txt").unlink)

        assert counts(tally) == (1, 0, 0, 1)
        assert failures(tally) == [("docs/cats.txt", "file_gone")]

    async def test_one_that_became_a_folder_is_a_failure_of_its_own(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        def replace() -> None:
            (folder / "cats.txt").unlink()
            (folder / "cats.txt").mkdir()

        assert failures(await ingest(noting, collection, between=replace)) == [
            ("docs/cats.txt", "file_unreadable")
        ]

    async def test_one_that_changes_while_it_is_sent_is_sent_again_as_it_is_then(
        self, noting: NotingTransport, api: Api, collection: str, folder: Path
    ) -> None:
        (folder / "dogs.txt").unlink()
        texts = iter(["Cats purr."])

        def write() -> None:
            if text := next(texts, ""):
                (folder / "cats.txt").write_text(text)

        noting.before_upload = write

        assert counts(await ingest(noting, collection)) == (1, 0, 0, 0)
        (cats,) = await documents(api, collection)
        assert (noting.uploads, cats["version"], await api.text(cats["id"])) == (2, 1, "Cats purr.")

    async def test_one_that_never_stands_still_is_a_failure_and_nothing_of_it_is_kept(
        self, noting: NotingTransport, api: Api, collection: str, folder: Path
    ) -> None:
        (folder / "dogs.txt").unlink()

        def write() -> None:
            with (folder / "cats.txt").open("a") as content:
                content.write("More. ")

        noting.before_upload = write

        assert failures(await ingest(noting, collection)) == [("docs/cats.txt", "file_changed")]
        assert await documents(api, collection) == []


class TestNames:
    async def test_names_that_are_not_unicode_are_documents_of_their_own(
        self, noting: NotingTransport, api: Api, collection: str, folder: Path
    ) -> None:
        for name in (b"\xfe.txt", b"\xff.txt"):
            (folder / os.fsdecode(name)).write_text("A strange name.")

        assert counts(await ingest(noting, collection)) == (4, 0, 0, 0)
        assert counts(await ingest(noting, collection)) == (0, 0, 4, 0)
        assert {item["source"] for item in await documents(api, collection)} >= {
            "docs/\\xfe.txt",
            "docs/\\xff.txt",
        }

    @pytest.mark.parametrize(
        "name", ["new\nline.txt", 'quo"te.txt', "größe 日本 🙂.txt", "100%.txt", "a;b&c=d.txt"]
    )
    async def test_any_other_name_is_found_again(
        self, noting: NotingTransport, collection: str, folder: Path, name: str
    ) -> None:
        (folder / name).write_text("A strange name.")

        assert counts(await ingest(noting, collection)) == (3, 0, 0, 0)
        assert counts(await ingest(noting, collection)) == (0, 0, 3, 0)

    async def test_a_path_that_is_too_long_for_a_source_is_a_failure_of_its_own(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        deep = folder.joinpath(*("d" * 200 for _ in range(6)))
        deep.mkdir(parents=True)
        (deep / "a.txt").write_text("Deep down.")

        tally = await ingest(noting, collection)

        assert counts(tally) == (2, 0, 0, 1)
        assert tally.failures[0].code == "invalid_request"

    def test_requests_stay_short_however_long_the_paths(self) -> None:
        sources = [f"日本/{'ü' * length}" for length in range(0, 1000, 10)]

        found = list(batches(sources))

        assert [source for batch in found for source in batch] == sources
        assert all(
            len(batch) == 1 or len(str(httpx2.QueryParams({"f": str(batch)}))) <= LONGEST_QUERY
            for batch in found
        )


class TestMany:
    async def test_documents_in_work_are_followed_many_at_a_time(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        for number in range(98):
            (folder / f"{number}.txt").write_text(f"Number {number} is a number.")

        assert counts(await ingest(noting, collection)) == (100, 0, 0, 0)
        assert noting.uploads == 100
        assert len(noting.calls) - noting.uploads < 50

    async def test_a_bounded_number_is_sent_at_a_time(
        self, noting: NotingTransport, collection: str, folder: Path
    ) -> None:
        for number in range(10):
            (folder / f"{number}.txt").write_text(f"Number {number} is a number.")
        sending, most = 0, 0

        async def note() -> None:
            nonlocal sending, most
            sending += 1
            most = max(most, sending)
            await asyncio.sleep(0.01)
            sending -= 1

        noting.before_upload = note

        await ingest(noting, collection)

        assert most == READ_AT_ONCE

    async def test_nobody_runs_further_ahead_than_there_is_room(
        self, noting: NotingTransport, collection: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ingesting, "AHEAD", 1)

        assert counts(await ingest(noting, collection)) == (2, 0, 0, 0)
        first, second = (place for place, call in enumerate(noting.calls) if call == "POST /documents")
        assert "GET /documents" in noting.calls[first:second]

    async def test_a_large_file_is_never_in_memory(self, folder: Path) -> None:
        size = 64 * 1024 * 1024
        os.truncate(folder / "cats.txt", size)
        (folder / "dogs.txt").unlink()
        received = Sink()
        tracemalloc.start()
        try:
            tally = await ingest(StreamingASGITransport(received), "default")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert (received.bytes > size, tally.bytes_sent, peak < size / 8) == (True, size, True)


class Sink:
    """An API that knows nothing and refuses every upload after it has read it."""

    def __init__(self) -> None:
        self.bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        while (message := await receive())["more_body"]:
            self.bytes += len(message["body"])
        known = b'{"items": [], "next_cursor": null}'
        refusal = b'{"error": {"code": "no", "message": "no"}}'
        status, body = (200, known) if scope["method"] == "GET" else (415, refusal)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


class TestPatience:
    @staticmethod
    def saying(*replies: tuple[int, str] | None) -> tuple[AsyncRagstone, list[str]]:
        """A client of a server that says this, one after the other and the last for ever; None is no answer."""
        left = list(replies)

        def answer(_: httpx2.Request) -> httpx2.Response:
            reply = left.pop(0) if len(left) > 1 else left[0]
            if reply is None:
                raise httpx2.ConnectError("refused")
            status, body = reply
            return httpx2.Response(status, text=body, headers={"retry-after": "0.01"})

        client = AsyncRagstone("http://127.0.0.1:1", transport=httpx2.MockTransport(answer))
        said: list[str] = []
        return client.with_options(retries=Patience(say=said.append, patience_s=0.1)), said

    FULL = (429, '{"error": {"code": "queue_full", "message": "wait"}}')
    DOWN = (503, '{"error": {"code": "unavailable", "message": "stopping"}}')
    FINE = (200, '{"status": "alive"}')

    async def test_a_full_queue_is_waited_for_longer_than_for_anything_else(self) -> None:
        client, said = self.saying(*[self.FULL] * 20, self.FINE)

        assert (await client.live()).status == "alive"
        assert (said[0], said[-1]) == ("the server's queue is full; waiting", "")

    @pytest.mark.parametrize("failure", [None, DOWN, (502, "<html>")])
    async def test_a_server_that_comes_back_is_waited_for(self, failure: tuple[int, str] | None) -> None:
        client, said = self.saying(failure, self.FINE)

        assert (await client.live()).status == "alive"
        assert "trying for another 0 s" in said[0]

    @pytest.mark.parametrize(
        ("failure", "sentence"),
        [
            (None, "the server at http://127.0.0.1:1 does not answer"),
            (DOWN, "unavailable: stopping"),
            ((502, "<html>"), "http://127.0.0.1:1/health/live answers 502 with what is no error of"),
        ],
    )
    async def test_one_that_does_not_is_given_up(
        self, failure: tuple[int, str] | None, sentence: str
    ) -> None:
        client, _ = self.saying(failure)

        with pytest.raises(CallFailed, match=sentence):
            await client.live()

    async def test_any_other_refusal_is_final(self) -> None:
        client, _ = self.saying((404, '{"error": {"code": "x", "message": "y"}}'), self.FINE)

        with pytest.raises(NotFound, match="x: y"):
            await client.live()

    async def test_a_server_that_goes_away_ends_the_ingest_with_one_sentence(self, folder: Path) -> None:
        def refuse(_: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("refused")

        with pytest.raises(ConnectionLost, match=r"the server at \S+ does not answer"):
            await ingest(httpx2.MockTransport(refuse), "default", patience_s=0.1)
