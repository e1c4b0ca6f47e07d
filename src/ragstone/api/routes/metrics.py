"""`GET /metrics`."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ragstone.api.deps import Services

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    summary="Prometheus metrics",
)
async def metrics(request: Request, services: Services) -> Response:
    """Requests, stages, ingest, queue, engine, and the services that answers depend on, in Prometheus' text format."""
    await services.health.check()  # what is shown of the parts is then at most a second old
    return Response(
        generate_latest(request.app.state.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
