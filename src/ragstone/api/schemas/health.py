"""Health replies."""

from typing import Literal

from ragstone.api.schemas.base import ReplyModel


class ComponentModel(ReplyModel):
    """One part of the server."""

    healthy: bool
    required: bool
    age_s: float


class HealthReply(ReplyModel):
    """The whole server."""

    status: Literal["healthy", "degraded", "unhealthy"]
    qdrant_connected: bool
    uptime: float
    api_version: str
    components: dict[str, ComponentModel] | None = None


class LiveReply(ReplyModel):
    """The process answers."""

    status: Literal["alive"]


class ReadyReply(ReplyModel):
    """Whether requests can be served."""

    status: Literal["ready", "not_ready"]
    components: dict[str, ComponentModel]
