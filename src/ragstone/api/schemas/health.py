"""Health replies."""

from typing import Literal

from pydantic import Field

from ragstone.api.schemas.base import ReplyModel


class ComponentModel(ReplyModel):
    """One part of the server."""

    healthy: bool
    reason: str | None = Field(description="What is wrong, in a word or two.")
    required: bool = Field(description="Whether readiness needs it.")
    age_s: float = Field(description="Seconds since this was found.")


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
