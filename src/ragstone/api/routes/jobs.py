"""Background work."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from ragstone.api.deps import Cursor, Limit, Services, Tenant
from ragstone.api.errors import error_responses
from ragstone.api.schemas.base import event_stream
from ragstone.api.schemas.documents import JobEvent, JobPage, JobReply, UploadReply
from ragstone.api.sse import encode_frame, stream_frames
from ragstone.core.models import JobKind, JobState
from ragstone.services.jobs import JobReport

router = APIRouter(prefix="/jobs", tags=["jobs"])
JobId = Annotated[str, Path(max_length=64, description="The job's id.")]


@router.get("", responses=error_responses(403, 422, 503), summary="List jobs")
async def list_jobs(
    services: Services,
    tenant: Tenant,
    state: JobState | None = None,
    kind: JobKind | None = None,
    document_id: Annotated[str | None, Query(max_length=64, description="Only of this document.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JobPage:
    """Newest first."""
    page = await services.jobs.list(
        tenant, state=state, kind=kind, document_id=document_id, limit=limit, cursor=cursor
    )
    return JobPage.model_validate(page)


@router.get("/{job_id}", responses=error_responses(403, 404, 422, 503), summary="Get a job")
async def get_job(job_id: JobId, services: Services, tenant: Tenant) -> JobReply:
    """Stage, progress, attempts and the reason of a failure."""
    return JobReply.model_validate(await services.jobs.get(tenant, job_id))


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={
        200: {
            "content": event_stream({"job": JobEvent, "done": JobEvent}),
            "description": "Events `job`, and `done` as the last one.",
        },
        **error_responses(403, 404, 422, 503),
    },
    summary="Follow a job",
)
async def follow_job(job_id: JobId, services: Services, tenant: Tenant) -> Response:
    """Server-sent events: the job as it is now, and again whenever it changes, until it has ended."""
    await services.jobs.get(tenant, job_id)
    return stream_frames(_frames(services.jobs.follow(tenant, job_id)))


@router.post("/{job_id}/cancel", responses=error_responses(403, 404, 409, 422, 503), summary="Cancel a job")
async def cancel_job(job_id: JobId, services: Services, tenant: Tenant) -> JobReply:
    """Nothing works on it any more when this answers. A document without another version has failed then."""
    return JobReply.model_validate(await services.jobs.cancel(tenant, job_id))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    responses=error_responses(403, 404, 409, 422, 429, 503),
    summary="Try a job again",
)
async def retry_job(job_id: JobId, services: Services, tenant: Tenant) -> UploadReply:
    """One that waits for its next attempt is due at once; a failed or cancelled one is repeated as a new job."""
    return UploadReply.model_validate(await services.jobs.retry(tenant, job_id))


async def _frames(reports: AsyncGenerator[JobReport, None]) -> AsyncIterator[bytes]:
    number = 0
    async with aclosing(reports):
        async for report in reports:
            number += 1
            name = b"done" if report.is_last else b"job"
            yield encode_frame(number, name, JobEvent.model_validate(report).model_dump_json().encode())
