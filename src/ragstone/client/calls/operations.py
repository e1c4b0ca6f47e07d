"""What operators ask and do: health, metrics, consistency, backups."""

from ragstone.api.schemas.admin import BackupReply
from ragstone.api.schemas.consistency import ConsistencyReply
from ragstone.api.schemas.health import HealthReply, LiveReply, ReadyReply
from ragstone.client.call import Call


def health() -> Call[HealthReply]:
    """Of all parts; its `status` says whether they work."""
    return Call(method="GET", path="/health", parse=HealthReply.model_validate_json, is_repeatable=True)


def live() -> Call[LiveReply]:
    """Whether the process answers."""
    return Call(method="GET", path="/health/live", parse=LiveReply.model_validate_json, is_repeatable=True)


def ready() -> Call[ReadyReply]:
    """Whether requests can be served; that they cannot is a reply, not an error."""
    return Call(
        method="GET",
        path="/health/ready",
        parse=ReadyReply.model_validate_json,
        is_repeatable=True,
        replies=frozenset({503}),
    )


def metrics() -> Call[str]:
    """In the text format of Prometheus."""
    return Call(method="GET", path="/metrics", parse=_decoded, is_repeatable=True)


def consistency() -> Call[ConsistencyReply]:
    """Compare manifest, originals and points; changes nothing."""
    return Call(
        method="GET",
        path="/admin/consistency",
        parse=ConsistencyReply.model_validate_json,
        is_repeatable=True,
    )


def repair() -> Call[ConsistencyReply]:
    """Compare and repair; shows what was found before."""
    return Call(
        method="POST",
        path="/admin/consistency",
        parse=ConsistencyReply.model_validate_json,
        is_repeatable=True,
    )


def back_up(directory: str) -> Call[BackupReply]:
    """Into a folder of the server's machine; answers when the backup is complete, however long that takes."""
    return Call(
        method="POST",
        path="/admin/backups",
        json={"directory": directory},
        parse=BackupReply.model_validate_json,
        is_repeatable=False,
        is_unbounded=True,
    )


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8")
