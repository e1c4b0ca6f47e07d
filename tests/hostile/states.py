"""A random life of the whole service beside a plain model: `python -m tests.hostile.states --runs 2000`.

Manifest, blobs, queue, switch and purger are real, engine and parser are stand-ins. Reading waits at a gate, so that
what is in work stays in work until `work` opens it: the model always knows exactly what must be seen.
"""

import argparse
import asyncio
import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ragstone.core.errors import (
    Conflict,
    DocumentExists,
    DocumentNotFound,
    IdempotencyMismatch,
    NoText,
    RagstoneError,
    VersionNotFound,
)
from ragstone.core.filters import parse_filter
from ragstone.core.models import DEFAULT_TENANT, Document, DocumentPatch, DocumentStatus, OnDuplicate, Scope
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.searching import Search
from ragstone.queues import in_process
from ragstone.services import consistency, ingestion, payloads, purging, switching
from ragstone.services.documents import UploadFields
from tests.engines import IN_MEMORY
from tests.memory_store import MemoryStore
from tests.parts import INSIDE, World, open_world
from tests.waiting import until

T = TypeVar("T")

BROKEN = "broken"
CONTENTS = (
    "word alpha",
    "word beta\n\nword gamma",
    f"word {BROKEN}",
    "word box\n\ninside a: word one\n\ninside b: word two",
    "word crate\n\ninside a: word changed\n\ninside c: word three\n\ninside blank:  ",
)
SOURCES = ("first", "second", None)
TAGS = (None, 1, 2)
KEYS = (None, None, None, "key 1", "key 2")
PATIENCE_S = 30.0
A_DAY = timedelta(days=1)
SETTINGS = settings(
    deadline=None, stateful_step_count=20, suppress_health_check=list(HealthCheck), print_blob=True
)


@dataclass
class Version:
    """`state` is pending, visible, superseded or failed."""

    content: str
    tag: int | None
    state: str = "pending"
    replaces: bool = False


@dataclass
class Known:
    """A living document as it must be."""

    source: str | None
    parent: str | None = None
    member: str | None = None
    versions: dict[int, Version] = field(default_factory=dict)
    expires_at: datetime | None = None

    @property
    def newest(self) -> Version:
        return self.versions[max(self.versions)]

    @property
    def visible(self) -> Version | None:
        return next((each for each in self.versions.values() if each.state == "visible"), None)

    def is_news(self, content: str) -> bool:
        return self.newest.content != content or self.newest.state == "failed"

    def add(self, content: str, tag: int | None, *, replaces: bool = False) -> None:
        if self.versions and self.newest.state == "pending":
            self.newest.state = "superseded"
        self.versions[max(self.versions, default=0) + 1] = Version(content, tag, replaces=replaces)

    def finish(self) -> bool:
        """The newest is worked on to its end; whether it became visible."""
        if BROKEN in self.newest.content or not self.newest.content.strip():
            self.newest.state = "failed"
            return False
        if (old := self.visible) is not None:
            old.state = "superseded"
        self.newest.state = "visible"
        if self.newest.replaces:
            self.versions = {max(self.versions): self.newest}
        return True


def _copy_if_there(source: str, target: str) -> None:
    """What a thread was just removing may be gone since the folder was listed: nothing refers to it any more."""
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)


class Life(RuleBasedStateMachine):
    """Every rule does an operation and what the model says it does."""

    def __init__(self) -> None:
        super().__init__()
        self.folders = 0
        self.root = Path(tempfile.mkdtemp(dir=IN_MEMORY))
        self.runner = asyncio.Runner()
        self.ahead = timedelta()
        self.known: dict[str, Known] = {}
        self.keys: dict[str, tuple[object, str, datetime]] = {}
        self.stack = AsyncExitStack()
        self.run(self.start(self.root / "0", MemoryStore()))

    # ---- the world ----

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def start(self, folder: Path, store: MemoryStore) -> None:
        self.folder = folder
        self.stack = AsyncExitStack()
        world = open_world(folder, store=store, clock=self.now)
        self.world: World = await self.stack.enter_async_context(world)
        self.gate = self.world.reader.gates[""] = asyncio.Event()
        self.world.reader.faults[f"word {BROKEN}"] = [NoText("broken") for _ in range(1000)]

    def teardown(self) -> None:
        try:
            self.work()
            self.run(self.stack.aclose())
        finally:
            self.runner.close()
            shutil.rmtree(self.root)

    # ---- rules ----

    @initialize(first=st.sampled_from(CONTENTS), second=st.sampled_from(CONTENTS))
    def begin(self, first: str, second: str) -> None:
        """A life without documents would be dull."""
        self.upload("first", first, OnDuplicate.VERSION, None, None)
        self.upload("second", second, OnDuplicate.VERSION, 1, None)

    @rule(content=st.sampled_from(CONTENTS), tag=st.sampled_from(TAGS))
    def upload_another(self, content: str, tag: int | None) -> None:
        self.upload(None, content, OnDuplicate.VERSION, tag, None)

    @rule(
        source=st.sampled_from(SOURCES),
        content=st.sampled_from(CONTENTS),
        mode=st.sampled_from(list(OnDuplicate)),
        tag=st.sampled_from(TAGS),
        key=st.sampled_from(KEYS),
    )
    def upload(
        self, source: str | None, content: str, mode: OnDuplicate, tag: int | None, key: str | None
    ) -> None:
        words = None if tag is None else {"tag": tag}
        fields = UploadFields(Scope(), source, None, words, mode, key)
        said = (source, content, mode, tag)
        expected, document_id = self._expect_upload(said, key)
        accepted = self.attempt(self.world.container.documents.upload_text(content, fields), expected)
        if accepted is None or (key is not None and self._recalled(key)):
            assert accepted is None or accepted.document.id == document_id
            return
        if document_id is None:
            assert accepted.document.id not in self.known
            document_id = accepted.document.id
            self.known[document_id] = Known(source)
            self.known[document_id].add(content, tag)
            assert accepted.job is not None
        else:
            self._upload_again(document_id, content, mode, tag, is_new=accepted.job is not None)
        if key is not None:
            self.keys[key] = (said, document_id, self.now() + A_DAY)

    @rule(pick=st.integers(0, 9), content=st.sampled_from(CONTENTS))
    def put(self, pick: int, content: str) -> None:
        if not (document_id := self._pick(pick)):
            return
        known = self.known[document_id]
        expected = Conflict if known.parent else None
        fields = UploadFields(Scope())
        changing = self.world.container.changes.replace_text(DEFAULT_TENANT, document_id, content, fields)
        if (accepted := self.attempt(changing, expected)) is None:
            return
        assert (accepted.job is not None) is known.is_news(content)
        if accepted.job is not None:
            known.add(content, known.newest.tag)

    @rule(pick=st.integers(0, 9), tag=st.sampled_from(TAGS))
    def patch(self, pick: int, tag: int | None) -> None:
        if not (document_id := self._pick(pick)):
            return
        known = self.known[document_id]
        patch = DocumentPatch(metadata={"tag": tag})
        document = self.run(self.world.container.changes.update(DEFAULT_TENANT, document_id, patch))
        assert document.metadata == _words(tag)
        for version in (known.visible, known.newest):
            if version is not None:
                version.tag = tag

    @rule(pick=st.integers(0, 9), hours=st.sampled_from([None, 1, 30]))
    def let_expire(self, pick: int, hours: int | None) -> None:
        if not (document_id := self._pick(pick)):
            return
        expires_at = None if hours is None else self.now() + timedelta(hours=hours)
        patch = DocumentPatch(expires_at=expires_at)
        self.run(self.world.container.changes.update(DEFAULT_TENANT, document_id, patch))
        for each in [document_id, *self._inside(document_id)]:
            self.known[each].expires_at = expires_at

    @rule(pick=st.integers(0, 9), back=st.integers(0, 3))
    def restore(self, pick: int, back: int) -> None:
        if not (document_id := self._pick(pick)):
            return
        known = self.known[document_id]
        number = max(1, max(known.versions) - back)
        stored = known.versions.get(number)
        expected = Conflict if known.parent else VersionNotFound if stored is None else None
        restoring = self.world.container.changes.restore(DEFAULT_TENANT, document_id, number)
        if (accepted := self.attempt(restoring, expected)) is None:
            return
        assert stored is not None
        is_needed = stored is not known.newest or stored.state == "failed"
        assert (accepted.job is not None) is is_needed
        if is_needed:
            known.add(stored.content, stored.tag)

    @rule(pick=st.integers(0, 9))
    def reindex(self, pick: int) -> None:
        if document_id := self._pick(pick):
            known = self.known[document_id]
            expected = Conflict if known.newest.state == "pending" else None
            again = self.world.container.changes.reindex(DEFAULT_TENANT, document_id)
            if self.attempt(again, expected):
                known.add(known.newest.content, known.newest.tag)

    @rule(pick=st.integers(0, 9))
    def cancel(self, pick: int) -> None:
        if document_id := self._pick(pick):
            newest = self.known[document_id].newest
            expected = None if newest.state == "pending" else Conflict
            if self.attempt(self._cancel(document_id), expected):
                newest.state = "failed"

    @rule(pick=st.integers(0, 9))
    def retry(self, pick: int) -> None:
        if not (document_id := self._pick(pick)):
            return
        known = self.known[document_id]
        if known.newest.state == "pending":
            return  # queued or running already: nobody can tell
        expected = None if known.newest.state == "failed" else Conflict
        if self.attempt(self._retry(document_id), expected):
            known.add(known.newest.content, known.newest.tag)

    @rule(pick=st.integers(0, 9))
    def delete(self, pick: int) -> None:
        if document_id := self._pick(pick):
            self.run(self.world.container.documents.delete(DEFAULT_TENANT, document_id))
            self._forget(document_id)

    @rule(tag=st.sampled_from(TAGS[1:]))
    def delete_by_filter(self, tag: int) -> None:
        doomed = [each for each, known in self.known.items() if _shown(known).tag == tag]
        gone = {each for document_id in doomed for each in (document_id, *self._inside(document_id))}
        where = parse_filter({"field": "metadata.tag", "eq": tag})
        job = self.run(self.world.container.documents.delete_matching(Scope(), where))
        assert (0 if job is None else job.progress.total) == len(gone)
        for document_id in doomed:
            self._forget(document_id)

    @rule(is_down=st.booleans())
    def outage(self, is_down: bool) -> None:
        self.world.store.is_down = is_down

    @rule(hours=st.sampled_from([2, 25]))
    def time_passes(self, hours: int) -> None:
        self.ahead += timedelta(hours=hours)
        for document_id, known in list(self.known.items()):
            if known.expires_at is not None and known.expires_at <= self.now():
                self._forget(document_id)

    @rule()
    def restart(self) -> None:
        """In order."""
        self.world.store.is_down = False
        self.run(self.stack.aclose())
        self.run(self.start(self.folder, self.world.store))

    @rule()
    def die(self) -> None:
        """What is on the disk at this moment is all that the next start has."""
        self.folders += 1
        folder, store = self.root / str(self.folders), MemoryStore()
        shutil.copytree(self.folder, folder, copy_function=_copy_if_there)
        store.points = dict(self.world.store.points)
        self.run(self.stack.aclose())
        self.run(self.start(folder, store))

    @rule()
    def work(self) -> None:
        """All that is in work is worked on to its end, and purged, and written."""
        self.world.store.is_down = False
        self.run(self._work())
        pending = [each for each, known in self.known.items() if known.newest.state == "pending"]
        for document_id in pending:
            if document_id in self.known and self.known[document_id].newest.state == "pending":
                self._finish(document_id)
        self.run(self._learn_parts())
        self.check()
        self.run(self._check_at_rest())

    # ---- the model ----

    def _expect_upload(
        self, said: tuple[str | None, str, OnDuplicate, int | None], key: str | None
    ) -> tuple[type[RagstoneError] | None, str | None]:
        """The refusal that must come, and the document that it is about."""
        source, content, mode, _ = said
        if key is not None and self._recalled(key):
            known_said, document_id, _ = self.keys[key]
            if known_said != said:
                return IdempotencyMismatch, None
            return (None if document_id in self.known else DocumentNotFound), document_id
        found = [each for each, known in self.known.items() if source and known.source == source]
        if not found:
            return None, None
        is_other = self.known[found[0]].newest.content != content
        return (DocumentExists if is_other and mode is OnDuplicate.ERROR else None), found[0]

    def _recalled(self, key: str) -> bool:
        return key in self.keys and self.keys[key][2] > self.now()

    def _upload_again(
        self, document_id: str, content: str, mode: OnDuplicate, tag: int | None, *, is_new: bool
    ) -> None:
        known = self.known[document_id]
        is_same = known.newest.content == content
        assert is_new is (known.is_news(content) and (is_same or mode is not OnDuplicate.SKIP))
        if is_new:
            taken_over = known.newest.tag if tag is None else tag
            known.add(content, taken_over, replaces=mode is OnDuplicate.REPLACE)

    def _finish(self, document_id: str) -> None:
        """With the parts that the version brings; their ids are learnt afterwards."""
        known = self.known[document_id]
        if not known.finish():
            return
        inside = {self.known[each].member: each for each in self._children(document_id)}
        for name, text in _members(known.newest.content).items():
            if name not in inside:
                part = Known(None, document_id, name, expires_at=known.expires_at)
                part.add(text, known.newest.tag)
                self.known[f"new {document_id} {name}"] = part
                part.finish()
            elif self.known[inside[name]].is_news(text):
                part = self.known[inside[name]]
                part.add(text, part.newest.tag)
                part.finish()
            inside.pop(name, None)
        for gone in inside.values():
            self._forget(gone)

    def _forget(self, document_id: str) -> None:
        for each in [document_id, *self._inside(document_id)]:
            self.known.pop(each, None)

    def _children(self, document_id: str) -> list[str]:
        return [each for each, known in self.known.items() if known.parent == document_id]

    def _inside(self, document_id: str) -> list[str]:
        children = self._children(document_id)
        return children + [deeper for child in children for deeper in self._inside(child)]

    def _pick(self, number: int) -> str | None:
        ids = list(self.known)
        return ids[number % len(ids)] if ids else None

    # ---- the service ----

    def attempt(self, work: Coroutine[Any, Any, T], expected: type[RagstoneError] | None) -> T | None:
        """Its result; None if it was refused as it must be."""
        if expected is None:
            return self.run(work)
        with pytest.raises(expected):
            self.run(work)
        return None

    async def _cancel(self, document_id: str) -> object:
        return await self.world.container.jobs.cancel(DEFAULT_TENANT, await self._newest_job(document_id))

    async def _retry(self, document_id: str) -> object:
        return await self.world.container.jobs.retry(DEFAULT_TENANT, await self._newest_job(document_id))

    async def _newest_job(self, document_id: str) -> str:
        return (await self.world.container.documents.versions(DEFAULT_TENANT, document_id))[0].job_id

    async def _work(self) -> None:
        manifest = self.world.container.manifest
        self.gate.set()

        async def is_done() -> bool:
            counts = await manifest.counts()
            waiting = counts["jobs_queued"] + counts["jobs_running"] + counts["purges_pending"]
            is_expired_gone = counts["documents"] == len(await self._documents())
            return waiting == 0 and is_expired_gone and not await manifest.stale_payloads(10)

        async with asyncio.timeout(PATIENCE_S):
            await until(is_done, every_s=0.002)
        self.gate.clear()

    async def _documents(self) -> dict[str, Document]:
        page = await self.world.container.documents.list(
            Scope(), status=None, title=None, parent_id=None, where=None, sort="title", limit=200, cursor=None
        )
        return {each.id: each for each in page.items}

    async def _learn_parts(self) -> None:
        """New parts under the ids that the service gave them."""
        for document in (await self._documents()).values():
            member = document.source.rpartition("!/")[2] if document.source else None
            known = self.known.pop(f"new {document.parent_id} {member}", None)
            if known is not None:
                self.known[document.id] = known

    @invariant()
    def check(self) -> None:
        """The service shows the model's documents, in every state."""
        found = self.run(self._documents())
        assert found.keys() == self.known.keys(), (found.values(), self.known)
        for document_id, known in self.known.items():
            document = found[document_id]
            assert document.status in _statuses(known), (document, known)
            assert document.metadata == _words(_shown(known).tag), (document, known)
            assert document.bytes == len(_shown(known).content), (document, known)
            assert document.parent_id == known.parent

    async def _check_at_rest(self) -> None:
        """Searches find exactly the chunks of visible versions, filters by the metadata; nothing else is stored."""
        visible = [
            (known.visible.content, known.visible.tag) for known in self.known.values() if known.visible
        ]
        stored = [(part, tag) for content, tag in visible for part in content.split("\n\n")]
        chunks = [(part, tag) for part, tag in stored if "word" in part]
        assert await self._found(None) == Counter(part for part, _ in chunks)
        for tag in TAGS[1:]:
            assert await self._found(tag) == Counter(part for part, its in chunks if its == tag)
        assert len(self.world.store.points) == len(stored)
        rest = await self.world.container.consistency.check(orphan_age_s=0.0)
        assert rest.is_consistent, rest

    async def _found(self, tag: int | None) -> Counter[str]:
        where = None if tag is None else parse_filter({"field": "metadata.tag", "eq": tag})
        search = Search(Scope(), "word", 100, where=where, mode="sparse")
        found = await self.world.container.query.search(search, stopwatch=Stopwatch())
        return Counter(source.text for source in found.sources)


def _members(content: str) -> dict[str, str]:
    parts = [part.removeprefix(INSIDE) for part in content.split("\n\n") if part.startswith(INSIDE)]
    return dict(part.split(": ") for part in parts)


def _shown(known: Known) -> Version:
    return known.visible or known.newest


def _words(tag: int | None) -> dict[str, int]:
    return {} if tag is None else {"tag": tag}


def _statuses(known: Known) -> set[DocumentStatus]:
    if known.visible is not None:
        return {DocumentStatus.READY}
    if known.newest.state == "failed":
        return {DocumentStatus.FAILED}
    return {DocumentStatus.QUEUED, DocumentStatus.PROCESSING}


@contextmanager
def without_waiting() -> Iterator[None]:
    """Nothing waits longer than it must, and no number of deaths makes a document poison."""
    quick = timedelta(milliseconds=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        patch.setattr(switching, "RETRY_DELAY", quick)
        patch.setattr(ingestion, "RETRY_AFTER", quick)
        patch.setattr(ingestion, "RETRY_AFTER_MOST", quick)
        patch.setattr(consistency, "MAX_DEATHS", 1_000)
        patch.setattr(in_process, "IDLE_POLL_S", 0.01)
        patch.setattr(in_process, "SOONEST_POLL_S", 0.002)
        for module in (payloads, purging):
            patch.setattr(module, "RETRY_AFTER_S", 0.02)
            patch.setattr(module, "IDLE_POLL_S", 0.02)
        yield


def run_lives(runs: int, *, seeded: bool) -> None:
    """So many random lives; `seeded` ones are the same every time."""
    with without_waiting():
        chosen = settings(SETTINGS, max_examples=runs, derandomize=seeded, database=None)
        run_state_machine_as_test(Life, settings=chosen)


def main() -> None:
    """Run them and say so."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=2000)
    options = arguments.parse_args()
    logging.disable(logging.CRITICAL)
    run_lives(options.runs, seeded=False)
    print(json.dumps({"runs": options.runs, "violations": 0}))


if __name__ == "__main__":
    main()
