"""Background work."""

from typing import Annotated

from fastapi import APIRouter, Path

from ragstone.api.deps import Services, Tenant
from ragstone.api.errors import error_responses
from ragstone.api.schemas.documents import JobReply

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("/{job_id}", responses=error_responses(403, 404, 422, 503), summary="Get a job")
async def get_job(
    job_id: Annotated[str, Path(max_length=64)], services: Services, tenant: Tenant
) -> JobReply:
    """Stage, progress, attempts and the reason of a failure."""
    return JobReply.model_validate(await services.manifest.get_job(tenant, job_id))
