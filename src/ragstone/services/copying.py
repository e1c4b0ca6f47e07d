"""Copying what is visible into the collection that is being built; what a crash left half done is found lacking."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragstone.core.crash import crash_point
from ragstone.core.errors import BadEmbedding, IngestError, WorkerDied
from ragstone.core.models import DocumentStatus, IngestTask, Point, VersionContent, VisibleDocument
from ragstone.pipelines.ingestion import IngestParts
from ragstone.pipelines.reindexing import ReadingChanged, index_again
from ragstone.services.ingestion import MAX_STRIKES
from ragstone.services.serving import ServingStore

log = logging.getLogger(__name__)

READING_CHANGED = "reading_changed"
LEFT_OUT_SHARE = (
    100  # one in so many: a lost file must not hold all uploads, a folder that is not mounted must
)
REPORT_EVERY_S = 10.0

CRASH_POINTS = ("reindex.batch_written", "reindex.version_written")


@dataclass(frozen=True, slots=True)
class ReindexProgress:
    """How far the new collection is: visible versions, those of them that it holds, those that it cannot hold with
    the reason's code, and why it is not going on."""

    total: int = 0
    done: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    waits_because: str | None = None


class _Overtaken(Exception):
    """The version was replaced, changed or deleted while it was being indexed."""


class VersionCopier:
    """Writes versions to the store of `parts`, which is the one that `serving` has beside."""

    def __init__(self, parts: IngestParts, serving: ServingStore):
        self._parts = parts
        self._serving = serving
        self._left_out: dict[str, str] = {}
        self._read_anew: dict[str, IngestTask] = {}
        self._strikes: Counter[str] = Counter()
        self._reported = -REPORT_EVERY_S
        self.progress = ReindexProgress()
        """As of the last version."""

    async def lacking(self) -> dict[str, VersionContent]:
        """Visible versions whose points are not all in the new collection, but for those it cannot hold."""
        visible = await self._parts.manifest.visible_contents()
        found = await self._parts.store.count_versions()
        missing = {key: content for key, content in visible.items() if found.get(key, 0) != content.chunks}
        left_out = {key: self._left_out[key] for key in sorted(missing.keys() & self._left_out.keys())}
        self.progress = ReindexProgress(len(visible), len(visible) - len(missing), left_out)
        self._report()
        return {key: missing[key] for key in sorted(missing.keys() - self._left_out.keys())}

    async def copy(self, lacking: Mapping[str, VersionContent]) -> None:
        """Raises BadEmbedding once all had their turn: a collection without vectors must never serve."""
        refused: list[BadEmbedding] = []
        for key, content in lacking.items():
            try:
                await self._copy_version(key, content)
            except BadEmbedding as error:
                refused.append(error)
            if len(refused) >= MAX_STRIKES:
                break  # it is the embedder, and not a document
        if refused:
            raise refused[-1]

    def require_few_left_out(self, *, is_queue_alive: bool) -> None:
        """Raises IngestError, and forgets them, so that they are tried again. What only waits for a queue that begins
        with the new collection does not count."""
        waiting = {key for key, code in self._left_out.items() if code == READING_CHANGED}
        left_out = self.progress.left_out.keys() - (set() if is_queue_alive else waiting)
        total = self.progress.total
        if len(left_out) > max(1, total // LEFT_OUT_SHARE):
            self._left_out = dict.fromkeys(waiting, READING_CHANGED)
            raise IngestError(
                f"{len(left_out)} of {total} documents cannot be indexed anew, so the old index is kept: restore their"
                " originals, or delete them"
            )

    async def has_readings_in_work(self) -> bool:
        """Whether new versions are still in work that must be there before the old collection goes."""
        visible = await self._parts.manifest.visible_contents()
        tasks = [task for key, task in self._read_anew.items() if key in visible]
        return any([await self._is_in_work(task) for task in tasks])

    async def _is_in_work(self, task: IngestTask) -> bool:
        document = await self._parts.manifest.get_document(task.scope.tenant_id, task.document_id)
        return document.pending is not None and document.pending.status is not DocumentStatus.FAILED

    async def drop_orphans(self) -> None:
        """Points of versions that went while a crash kept their purge from this collection."""
        found = await self._parts.store.count_versions()
        orphans = found.keys() - await self._parts.manifest.live_versions()
        if orphans:
            await self._parts.store.delete_versions(sorted(orphans))

    async def _copy_version(self, key: str, content: VersionContent) -> None:
        """One version; leaves out what cannot be read any more. Raises BadEmbedding, and what says that a part or a
        service is down."""
        task = await self._parts.manifest.visible_task(key)
        document = None if task is None else await self._visible(task)
        if task is None or document is None:
            return
        await self._parts.store.delete_versions([key])  # half of it, from before a crash
        try:
            await index_again(
                self._parts,
                task,
                content,
                document,
                self._serving,
                lambda points: self._write(task, document, points),
            )
        except _Overtaken:
            return
        except ReadingChanged:
            await self._read_as_new_version(key, task)
        except BadEmbedding:
            raise
        except WorkerDied as error:
            self._strikes[key] += 1
            if self._strikes[key] >= MAX_STRIKES:
                self._leave_out(key, error.code)
        except IngestError as error:
            self._leave_out(key, error.code)
        else:
            self._count_one()
        crash_point("reindex.version_written")

    async def _write(self, task: IngestTask, document: VisibleDocument, points: Sequence[Point]) -> None:
        """Nothing of what was deleted meanwhile, and nothing with a title or metadata that were changed meanwhile."""
        async with self._serving.writing_beside:
            if await self._visible(task) != document:
                raise _Overtaken
            await self._parts.store.upsert(task.scope, points)
        crash_point("reindex.batch_written")

    async def _visible(self, task: IngestTask) -> VisibleDocument | None:
        found = await self._parts.manifest.visible_documents(task.scope, [task.document_id])
        document = found.get(task.document_id)
        return document if document is not None and document.version == task.version else None

    async def _read_as_new_version(self, key: str, task: IngestTask) -> None:
        """The original reads otherwise today: only a new version may show another text."""
        log.info("reading has changed; a new version is made", extra={"document_id": task.document_id})
        await self._parts.manifest.repair_version(key)
        self._left_out[key] = READING_CHANGED
        self._read_anew[key] = task

    def _leave_out(self, key: str, code: str) -> None:
        log.error("a version cannot be indexed anew", extra={"document_version": key, "code": code})
        self._left_out[key] = code

    def _count_one(self) -> None:
        self.progress = replace(self.progress, done=self.progress.done + 1)
        self._report()

    def _report(self) -> None:
        if time.monotonic() >= self._reported + REPORT_EVERY_S:
            self._reported = time.monotonic()
            log.info("re-indexing", extra={"done": self.progress.done, "total": self.progress.total})
