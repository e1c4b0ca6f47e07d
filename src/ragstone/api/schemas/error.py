"""The error reply."""

from pydantic import Field

from ragstone.api.schemas.base import ReplyModel


class ErrorDetail(ReplyModel):
    """One thing that was wrong with the request."""

    loc: list[str | int] = Field(description="Where: body, query or path, then the members.")
    type: str
    msg: str


class ErrorInfo(ReplyModel):
    """A failure; `code` is stable, see the troubleshooting guide."""

    code: str = Field(examples=["document_not_found"])
    message: str
    retryable: bool = Field(description="Whether the same request may succeed later.")
    request_id: str | None
    details: list[ErrorDetail]


class ErrorReply(ReplyModel):
    """Every error has this shape."""

    error: ErrorInfo
