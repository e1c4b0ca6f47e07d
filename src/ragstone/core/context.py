"""What the work at hand is done for: the only ambient values, since every log line carries them; all else travels as
arguments. Tasks inherit them, and threads where `core.threads` starts them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
job_id: ContextVar[str | None] = ContextVar("job_id", default=None)


def begin_job(id_: str, *, caused_by: str | None) -> None:
    """What this task does from now on, it does for a job; `caused_by` is the id of the request that asked for it."""
    job_id.set(id_)
    request_id.set(caused_by)


@contextmanager
def for_request(id_: str | None) -> Iterator[None]:
    """What is done within is done for another request than the work around it."""
    token = request_id.set(id_)
    try:
        yield
    finally:
        request_id.reset(token)
