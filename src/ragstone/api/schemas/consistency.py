"""Replies on whether the parts of the data directory agree."""

from pydantic import Field

from ragstone.api.schemas.base import ReplyModel, Time


class RepairModel(ReplyModel):
    """The last repair that found something to do."""

    at: Time
    points_deleted: int
    versions_queued: int = Field(description="Versions that were queued to be indexed again.")
    blobs_deleted: int


class ReindexModel(ReplyModel):
    """How far the collection is that is built for the configured embedder."""

    total: int = Field(description="Visible versions.")
    done: int = Field(description="Those of them that the new collection holds.")
    left_out: dict[str, str] = Field(description="Versions that it cannot hold, each with the reason's code.")
    waits_because: str | None = Field(description="Why it does not go on; it tries again by itself.")


class ConsistencyReply(ReplyModel):
    """Counts, and what differs. Versions are named `<document id>:<version>`."""

    is_consistent: bool
    documents: int = Field(description="Documents with a visible version.")
    points: int
    incomplete_versions: tuple[str, ...] = Field(description="Visible versions that lack points.")
    orphan_versions: tuple[str, ...] = Field(description="Versions with points that should have none.")
    missing_originals: tuple[str, ...] = Field(
        description="Visible and newest versions whose original is gone."
    )
    missing_texts: tuple[str, ...] = Field(description="Visible versions whose extracted text is gone.")
    orphan_blobs: tuple[str, ...] = Field(description="SHA-256 of stored bytes that nothing refers to.")
    last_repair: RepairModel | None
    reindexing: ReindexModel | None = Field(description="Null unless documents are being indexed anew.")
