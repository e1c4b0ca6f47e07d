"""Requests and replies of the routes under `/admin`."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from ragstone.api.schemas.base import ReplyModel, RequestModel, Text, Time

FolderPath = Annotated[Text, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]


class BackupRequest(RequestModel):
    """Where the backup goes."""

    directory: FolderPath = Field(
        description="Absolute path on the server: a new or empty folder, or one with an earlier backup.",
        json_schema_extra={"pattern": r"^/[^\x00]*$"},  # told with a code of its own where it is not
    )


class BackupReply(ReplyModel):
    """A complete backup."""

    directory: str
    created_at: Time
    documents: int = Field(description="Visible documents.")
    blobs: int = Field(description="Originals and extracted texts.")
    blobs_added: int = Field(description="Those that the folder did not have before.")
    blobs_removed: int = Field(description="Those that are no longer needed.")
    missing_blobs: list[str] = Field(
        description="SHA-256 of those that the data directory had lost, or that are damaged there."
    )
    metadata: dict[str, Any]
