"""Running ingest jobs: what a failure means for the job, and handing finished versions to the switch."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from ragstone.core.counts import INDEXED
from ragstone.core.errors import (
    BadEmbedding,
    DeadlineExceeded,
    ExternalServiceError,
    IngestError,
    InternalError,
    Poison,
    RagstoneError,
    Unavailable,
    UnsupportedMediaType,
    WorkerDied,
)
from ragstone.core.models import Failure, IngestTask
from ragstone.core.ports import JobObserver, Manifest
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.ingestion import IngestParts, JobGone, ingest
from ragstone.services.switching import VersionSwitch

log = logging.getLogger(__name__)

MAX_STRIKES = 3  # attempts that killed the worker or met a defect; the count survives restarts
# Deaths of the whole server count as well, in case a document is their cause. More of them are forgiven: parsers run
# in processes of their own, so it is hardly ever the document, and a crash loop of a few restarts must fail no job.
MAX_DEATHS = 10
MAX_ATTEMPTS = 30  # while a part is down: with the back-off below about a quarter of an hour
RETRY_AFTER = timedelta(seconds=1)
RETRY_AFTER_MOST = timedelta(seconds=30)

FAILED, POSTPONED, GONE = "failed", "postponed", "gone"
Outcome = tuple[str, str]
"""What became of an attempt, and the error's code or nothing."""

POISON = Failure(Poison.code, f"the work on this document broke off {MAX_STRIKES} times")
DEFECT = Failure(InternalError.code, "a defect of the server; its log has the trace")


class IngestService:
    """Runs one claimed task to its end: switched, failed for good, or back in the queue."""

    def __init__(
        self,
        parts: IngestParts,
        manifest: Manifest,
        switch: VersionSwitch,
        *,
        observers: Sequence[JobObserver] = (),
    ):
        self._parts = parts
        self._manifest = manifest
        self._switch = switch
        self._observers = observers

    def use(self, parts: IngestParts) -> None:
        """For the tasks that begin from now on."""
        self._parts = parts

    async def run(self, task: IngestTask) -> None:
        """Never raises for a failure of the job; a cancellation passes through."""
        stopwatch = Stopwatch()
        outcome, code = await self._attempt(task, stopwatch)
        for observer in self._observers:
            observer.attempt_ended(task, stopwatch, outcome, code)

    async def _attempt(self, task: IngestTask, stopwatch: Stopwatch) -> Outcome:
        try:
            self._switch.submit(await ingest(self._parts, task, stopwatch))
        except JobGone:
            log.info("job gone", extra={"document_id": task.document_id})
            return GONE, ""
        except BadEmbedding as error:
            failure = Failure(error.code, error.message)
            return await self._strike(task, failure, failure)
        except IngestError as error:
            return await self._fail(task, Failure(error.code, error.message, error.page))
        except UnsupportedMediaType as error:  # of a part: an upload is refused at once
            return await self._fail(task, Failure(error.code, error.message))
        except (Unavailable, ExternalServiceError, DeadlineExceeded) as error:
            return await self._wait(task, error)
        except WorkerDied as error:
            return await self._strike(task, Failure(error.code, error.message), POISON)
        except Exception:  # a defect met by one document must not stop the queue
            log.exception("ingest broke off", extra={"document_id": task.document_id})
            return await self._strike(task, DEFECT, DEFECT)
        return INDEXED, ""

    async def _fail(self, task: IngestTask, failure: Failure) -> Outcome:
        log.warning(
            "ingest failed",
            extra={"document_id": task.document_id, "code": failure.code},
        )
        await self._manifest.fail_task(task.job.id, failure)
        return FAILED, failure.code

    async def _strike(self, task: IngestTask, failure: Failure, last: Failure) -> Outcome:
        """One of three: what may be the document's own fault is not tried for ever."""
        if task.job.strikes >= MAX_STRIKES:
            return await self._fail(task, last)
        await self._manifest.requeue(task.job.id, delay=_back_off(task.job.strikes), failure=failure)
        return _postponed(failure)

    async def _wait(self, task: IngestTask, error: RagstoneError) -> Outcome:
        """A part of the server, or a service that it needs, is down: the document is not to blame."""
        failure = Failure(error.code, error.message)
        if task.job.attempts >= MAX_ATTEMPTS:
            return await self._fail(task, failure)
        delay = _back_off(task.job.attempts)
        await self._manifest.requeue(task.job.id, delay=delay, failure=failure, is_strike=False)
        return _postponed(failure)


def _postponed(failure: Failure) -> Outcome:
    log.warning("ingest postponed", extra={"code": failure.code})
    return POSTPONED, failure.code


def _back_off(attempts: int) -> timedelta:
    return min(RETRY_AFTER * (1 << (attempts - 1)), RETRY_AFTER_MOST)
