"""Health: the whole, liveness, readiness."""

from fastapi import APIRouter, Response

from ragstone import __version__
from ragstone.api.deps import Principal, Services
from ragstone.api.schemas.health import HealthReply, LiveReply, ReadyReply

router = APIRouter(tags=["health"])


@router.get("/health", response_model_exclude_unset=True, summary="Health of all parts")
async def health(services: Services, principal: Principal) -> HealthReply:
    """Always 200: the status is in the body. `components` are for callers with a key, where keys are needed."""
    found = await services.health.check()
    components = {} if principal is None else {"components": found.components}
    return HealthReply.model_validate(
        {
            "status": found.status,
            "qdrant_connected": found.components["vector_store"].healthy,
            "uptime": round(found.uptime_s, 3),
            "api_version": __version__,
            **components,
        }
    )


@router.get("/health/live", summary="Liveness")
async def live() -> LiveReply:
    """Depends on nothing."""
    return LiveReply(status="alive")


@router.get(
    "/health/ready",
    responses={
        503: {"model": ReadyReply, "description": "A required part is down, or the server is stopping."}
    },
    summary="Readiness",
)
async def ready(services: Services, response: Response) -> ReadyReply:
    """503 while a required part is down or the server is stopping."""
    found = await services.health.check()
    if not found.is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return ReadyReply.model_validate(
        {
            "status": "ready" if found.is_ready else "not_ready",
            "components": found.components,
        }
    )
