"""Running ingest jobs: what a failure means for the job, and handing finished versions to the switch."""

import logging
from datetime import timedelta

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
from ragstone.core.ports import Manifest
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

POISON = Failure(Poison.code, f"the work on this document broke off {MAX_STRIKES} times")
DEFECT = Failure(InternalError.code, "a defect of the server; its log has the trace")


class IngestService:
    """Runs one claimed task to its end: switched, failed for good, or back in the queue."""

    def __init__(self, parts: IngestParts, manifest: Manifest, switch: VersionSwitch):
        self._parts = parts
        self._manifest = manifest
        self._switch = switch

    def use(self, parts: IngestParts) -> None:
        """For the tasks that begin from now on."""
        self._parts = parts

    async def run(self, task: IngestTask) -> None:
        """Never raises for a failure of the job; a cancellation passes through."""
        try:
            self._switch.submit(await ingest(self._parts, task))
        except JobGone:
            log.info("job gone", extra={"document_id": task.document_id})
        except BadEmbedding as error:
            failure = Failure(error.code, error.message)
            await self._strike(task, failure, failure)
        except IngestError as error:
            await self._fail(task, Failure(error.code, error.message, error.page))
        except UnsupportedMediaType as error:  # of a part: an upload is refused at once
            await self._fail(task, Failure(error.code, error.message))
        except (Unavailable, ExternalServiceError, DeadlineExceeded) as error:
            await self._wait(task, error)
        except WorkerDied as error:
            await self._strike(task, Failure(error.code, error.message), POISON)
        except Exception:  # a defect met by one document must not stop the queue
            log.exception("ingest broke off", extra={"document_id": task.document_id})
            await self._strike(task, DEFECT, DEFECT)

    async def _fail(self, task: IngestTask, failure: Failure) -> None:
        log.warning(
            "ingest failed",
            extra={"document_id": task.document_id, "code": failure.code},
        )
        await self._manifest.fail_task(task.job.id, failure)

    async def _strike(self, task: IngestTask, failure: Failure, last: Failure) -> None:
        """One of three: what may be the document's own fault is not tried for ever."""
        if task.job.strikes >= MAX_STRIKES:
            await self._fail(task, last)
            return
        await self._manifest.requeue(task.job.id, delay=_back_off(task.job.strikes), failure=failure)

    async def _wait(self, task: IngestTask, error: RagstoneError) -> None:
        """A part of the server, or a service that it needs, is down: the document is not to blame."""
        failure = Failure(error.code, error.message)
        if task.job.attempts >= MAX_ATTEMPTS:
            await self._fail(task, failure)
            return
        delay = _back_off(task.job.attempts)
        await self._manifest.requeue(task.job.id, delay=delay, failure=failure, is_strike=False)


def _back_off(attempts: int) -> timedelta:
    return min(RETRY_AFTER * (1 << (attempts - 1)), RETRY_AFTER_MOST)
