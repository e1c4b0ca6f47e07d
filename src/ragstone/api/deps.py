"""What routes are handed: the container's services, the request's stopwatch and id, the caller.

All are coroutines: FastAPI runs plain functions in a thread, at 0.15 ms each.
"""

from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.routing import APIRoute

from ragstone.bootstrap import Container
from ragstone.core.errors import InvalidRequest
from ragstone.core.models import DEFAULT_TENANT
from ragstone.core.timing import Stopwatch
from ragstone.middleware.errors import MAX_DETAILS

UNKNOWN = "This path does not know this parameter"


async def get_container(request: Request) -> Container:
    """Opened by the lifespan."""
    container: Container = request.app.state.container
    return container


async def get_stopwatch(request: Request) -> Stopwatch:
    """Started by the logging middleware."""
    stopwatch: Stopwatch = request.state.stopwatch
    return stopwatch


async def get_request_id(request: Request) -> str:
    """As the reply carries it."""
    request_id: str = request.state.request_id
    return request_id


async def get_tenant() -> str:
    """Whose documents; there is one tenant until keys name others."""
    return DEFAULT_TENANT


async def refuse_unknown_parameters(request: Request) -> None:
    """A misspelt `dry_run` or `filter` must not delete more than was meant. Raises InvalidRequest."""
    if not request.query_params:
        return
    route: APIRoute = request.scope["route"]
    unknown = sorted(set(request.query_params) - {field.alias for field in route.dependant.query_params})
    if unknown:
        places = [
            {"loc": ["query", name[:200]], "type": "extra_forbidden", "msg": UNKNOWN} for name in unknown
        ]
        raise InvalidRequest("the request is not valid", details=places[:MAX_DETAILS])


async def get_principal(request: Request) -> str | None:
    """The label of the caller's key; None on an open path without one."""
    principal: str | None = getattr(request.state, "principal", None)
    return principal


Services = Annotated[Container, Depends(get_container)]
Clock = Annotated[Stopwatch, Depends(get_stopwatch)]
RequestId = Annotated[str, Depends(get_request_id)]
Principal = Annotated[str | None, Depends(get_principal)]
Tenant = Annotated[str, Depends(get_tenant)]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="The same key within 24 hours gives the same result and changes nothing twice.",
    ),
]
Cursor = Annotated[str | None, Query(max_length=2048, description="`next_cursor` of the page before.")]
