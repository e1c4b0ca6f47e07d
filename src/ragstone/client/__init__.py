"""The Python client. It needs httpx2 and pydantic, and nothing of the server.

with Ragstone("http://127.0.0.1:8000") as client:
    client.upload("handbook.pdf", wait=True)
    print(client.query("When are refunds paid?").answer)
"""

from ragstone.api.schemas.documents import (
    CollectionReply,
    DocumentReply,
    JobReply,
    UploadReply,
)
from ragstone.api.schemas.query import (
    AnswerReply,
    CitationModel,
    DoneEvent,
    MetadataEvent,
    MetaEvent,
    SearchReply,
    SourceModel,
    SourcesEvent,
    TokenEvent,
)
from ragstone.client.clients import AsyncRagstone, Ragstone
from ragstone.client.errors import (
    ApiError,
    CallFailed,
    Conflict,
    ConnectionLost,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    JobFailed,
    NotFound,
    RateLimited,
    ServerFailed,
    StillWorking,
    TimedOut,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedReply,
    UpstreamFailed,
)
from ragstone.client.listing import AsyncListing, Listing, Page
from ragstone.client.progress import Progress
from ragstone.client.readers import AnswerEvent
from ragstone.client.retries import Attempts, BoundedRetries, Retries
from ragstone.client.streams import AnswerStream, AsyncAnswerStream, AsyncJobStream, JobStream

__all__ = [
    "AnswerEvent",
    "AnswerReply",
    "AnswerStream",
    "ApiError",
    "AsyncAnswerStream",
    "AsyncJobStream",
    "AsyncListing",
    "AsyncRagstone",
    "Attempts",
    "BoundedRetries",
    "CallFailed",
    "CitationModel",
    "CollectionReply",
    "Conflict",
    "ConnectionLost",
    "DeadlineExceeded",
    "DocumentReply",
    "DoneEvent",
    "Forbidden",
    "InvalidRequest",
    "JobFailed",
    "JobReply",
    "JobStream",
    "Listing",
    "MetaEvent",
    "MetadataEvent",
    "NotFound",
    "Page",
    "Progress",
    "Ragstone",
    "RateLimited",
    "Retries",
    "SearchReply",
    "ServerFailed",
    "SourceModel",
    "SourcesEvent",
    "StillWorking",
    "TimedOut",
    "TokenEvent",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UnexpectedReply",
    "UploadReply",
    "UpstreamFailed",
]
