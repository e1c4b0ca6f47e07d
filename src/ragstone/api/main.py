"""The ASGI application. `app` is made on first access, so importing this module opens and reads nothing."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from starlette.types import Scope

from ragstone import __version__
from ragstone.api.deps import refuse_unknown_parameters
from ragstone.api.errors import install_error_handlers
from ragstone.api.mcp.route import PATH as MCP_PATH
from ragstone.api.mcp.route import mcp_route
from ragstone.api.openai import chat, embeddings, file_batches
from ragstone.api.openai import files as openai_files
from ragstone.api.openai import models as openai_models
from ragstone.api.openai import responses, vector_store_files, vector_stores
from ragstone.api.openapi import complete_openapi
from ragstone.api.reference import HEADERS, render_reference
from ragstone.api.routes import (
    admin,
    changes,
    collections,
    consistency,
    documents,
    health,
    jobs,
    metrics,
    page,
    query,
)
from ragstone.api.schemas.documents import JobEvent, TextContent, TextUpload
from ragstone.api.schemas.query import STREAM_EVENTS
from ragstone.bootstrap import Container, build_container
from ragstone.config.settings import MIB, Settings, load_settings
from ragstone.core.errors import RagstoneError, Unavailable
from ragstone.core.logs import configure_logging
from ragstone.middleware.admission import AdmissionMiddleware, OpenRequests, stopping
from ragstone.middleware.auth import OPEN_PATHS, AuthMiddleware
from ragstone.middleware.collectors import HealthCollector, IngestCollector
from ragstone.middleware.cors import CorsMiddleware
from ragstone.middleware.limits import BodyLimitMiddleware
from ragstone.middleware.logging import LoggingMiddleware
from ragstone.middleware.metrics import (
    DependencyCollector,
    MetricsMiddleware,
    RequestMetrics,
    RouteTemplates,
)
from ragstone.middleware.tracing import TracingMiddleware
from ragstone.middleware.trust import TrustMiddleware

# The framework's own spans would hold query strings; ours are made of the stopwatch's stages.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
QUESTION_BYTES = 1 * MIB  # a question of 8,000 characters, 20 turns of history and a full filter fit
JSON_UPLOAD_BYTES = 16 * MIB  # parsed in memory, so far below what a file may have
MAX_REQUESTS = 4_000  # of all kinds at once, open streams included
QUESTIONS = frozenset({"/query", "/search", "/v1/chat/completions", "/v1/responses"})
PROBES = OPEN_PATHS | {"/metrics"}
ROUTERS = (
    query.router,
    documents.router,
    changes.router,
    changes.json_router,
    collections.router,
    jobs.router,
    consistency.router,
    admin.router,
)
DIALECT = (
    openai_models.router,
    openai_files.router,
    vector_store_files.router,
    file_batches.router,
    vector_stores.router,
    embeddings.router,
    chat.router,
    responses.router,
)
PROBED = (health.router, metrics.router)
"""What probes and scrapers add to their queries is none of our business."""

DESCRIPTION = """
A RAG API you can trust with your documents: upload documents, ask questions, and get answers in which every claim
points at the exact place it came from. Offsets are Unicode code points with exclusive ends; times are RFC 3339 UTC.
Of duplicate JSON keys the last wins. Every reply carries `X-Request-ID` and `Server-Timing`.
"""


def create_app(settings: Settings, container: Container | None = None) -> FastAPI:
    """The application over a running container; without one its lifespan opens and closes its own."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if container is not None:
            _settle_memory()
            yield
            return
        async with build_container(settings) as own:
            app.state.container = own
            _settle_memory()
            yield

    app = FastAPI(
        title="Ragstone",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page would run a script from another host in this one's origin
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        telemetry=NO_TELEMETRY,
    )
    app.state.container = container
    app.state.open_requests = OpenRequests()
    app.state.registry = _registry(app)
    mcp = mcp_route(has_writes=settings.mcp_writes)
    routers = (*ROUTERS, *DIALECT, *PROBED, page.router)
    app.state.templates = RouteTemplates(chain(*(router.routes for router in routers), (mcp,)))
    install_error_handlers(app)
    for router in (*ROUTERS, *DIALECT):
        app.include_router(router, dependencies=[Depends(refuse_unknown_parameters)])
    for router in (*PROBED, page.router):
        app.include_router(router)
    app.router.routes.append(mcp)
    _add_middleware(app, settings)
    complete_openapi(app, (TextUpload, TextContent, JobEvent, *STREAM_EVENTS.values()))
    _add_reference(app)
    return app


def __getattr__(name: str) -> Any:
    """`uvicorn ragstone.api.main:app`."""
    if name != "app":
        raise AttributeError(name)
    settings = load_settings()
    configure_logging(**settings.log_options())
    app = globals()["app"] = create_app(settings)
    return app


def _registry(app: FastAPI) -> CollectorRegistry:
    """Series of this process; where several share a data directory, each answers its own."""
    registry = CollectorRegistry()

    def parts() -> Container:
        container: Container = app.state.container
        return container

    for collector in (
        DependencyCollector(lambda: parts().dependencies),
        HealthCollector(
            lambda: parts().health.known(), lambda: parts().loop_lag.worst_s, version=__version__
        ),
        IngestCollector(lambda: parts().ingest_counts),
    ):
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def _add_reference(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    async def reference() -> HTMLResponse:
        return HTMLResponse(render_reference(app.openapi()), headers=HEADERS)


def _settle_memory() -> None:
    """What start-up made stays for good: not looking through it at each collection saves 4 % of a query's CPU."""
    gc.collect()
    gc.freeze()


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one added is the outermost."""
    app.add_middleware(BodyLimitMiddleware, limit_for=lambda scope: _body_limit(scope, settings))
    app.add_middleware(
        AdmissionMiddleware, requests=app.state.open_requests, objection=lambda scope: _objection(app, scope)
    )
    app.add_middleware(
        AuthMiddleware, keys=lambda: app.state.container.keys, open_paths=OPEN_PATHS | page.PATHS
    )
    if settings.cors_origins:
        app.add_middleware(CorsMiddleware, origins=settings.cors_origins)
    app.add_middleware(
        TrustMiddleware,
        allowed_hosts=settings.allowed_hosts,
        cors_origins=settings.cors_origins,
        are_keys_required=lambda: app.state.container.keys.are_required,
    )
    if settings.otlp_endpoint is not None:
        app.add_middleware(TracingMiddleware, tracer=lambda: app.state.container.tracer)
    app.add_middleware(LoggingMiddleware, log_requests=settings.log_requests)
    app.add_middleware(MetricsMiddleware, metrics=RequestMetrics(app.state.registry))


def _objection(app: FastAPI, scope: Scope) -> RagstoneError | None:
    """What a request is told that is not even begun."""
    container: Container = app.state.container
    if scope["path"] in PROBES:
        return None
    if container.health.is_stopping:
        return stopping()
    if app.state.open_requests.count >= MAX_REQUESTS:
        return Unavailable(f"{MAX_REQUESTS} requests are being answered; try again in a moment")
    return container.query.refusal if scope["path"] in QUESTIONS else None


def _body_limit(scope: Scope, settings: Settings) -> int:
    if not _is_upload(scope, settings):
        return QUESTION_BYTES
    max_upload_bytes = settings.max_upload_bytes
    is_form = any(
        name == b"content-type" and value.lower().startswith(b"multipart/")
        for name, value in scope["headers"]
    )
    return max_upload_bytes if is_form else min(JSON_UPLOAD_BYTES, max_upload_bytes)


def _is_upload(scope: Scope, settings: Settings) -> bool:
    """Whether the body holds a document, new or in place of an earlier one, or may hold one."""
    path: str = scope["path"]
    if path == MCP_PATH:
        return settings.mcp_writes
    return path in ("/documents", "/v1/files") or (
        scope["method"] == "PUT" and path.startswith("/documents/")
    )
