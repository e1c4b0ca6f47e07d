"""The request id of the work at hand: the only ambient value; all else travels as arguments."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
