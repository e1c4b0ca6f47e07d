"""Background work."""

from typing import Literal, TypeAlias

from ragstone.api.schemas.documents import JobPage, JobReply, UploadReply
from ragstone.client.call import Call, given, part_of_path

State: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Kind: TypeAlias = Literal["ingest", "reindex", "purge"]


def list_jobs(
    *,
    state: State | None = None,
    kind: Kind | None = None,
    document_id: str | None = None,
    page_size: int | None = None,
    cursor: str | None = None,
) -> Call[JobPage]:
    """Newest first."""
    return Call(
        method="GET",
        path="/jobs",
        params=given(state=state, kind=kind, document_id=document_id, limit=page_size, cursor=cursor),
        parse=JobPage.model_validate_json,
        is_repeatable=True,
    )


def get(job_id: str) -> Call[JobReply]:
    """Stage, progress, attempts and the reason of a failure."""
    return Call(
        method="GET",
        path=_path(job_id),
        parse=JobReply.model_validate_json,
        is_repeatable=True,
    )


def events(job_id: str) -> Call[None]:
    """The job as it is now, and again whenever it changes, until it has ended."""
    return Call(method="GET", path=_path(job_id, "/events"), parse=_nothing, is_repeatable=True)


def cancel(job_id: str) -> Call[JobReply]:
    """Nothing works on it any more when this answers."""
    return Call(
        method="POST",
        path=_path(job_id, "/cancel"),
        parse=JobReply.model_validate_json,
        is_repeatable=False,
    )


def retry(job_id: str) -> Call[UploadReply]:
    """One that waits for its next attempt is due at once; a failed or cancelled one is repeated as a new job."""
    return Call(
        method="POST",
        path=_path(job_id, "/retry"),
        parse=UploadReply.model_validate_json,
        is_repeatable=False,
    )


def _path(job_id: str, what: str = "") -> str:
    return f"/jobs/{part_of_path(job_id)}{what}"


def _nothing(_: bytes) -> None:
    return None
