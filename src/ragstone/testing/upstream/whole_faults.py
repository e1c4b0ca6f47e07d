"""Faults that replace a whole response, whichever route it answers."""

import asyncio

from ragstone.testing.upstream.faults import Fault
from ragstone.testing.upstream.http import BLOCK_BYTES, Exchange
from ragstone.testing.upstream.wire import HTML, JSON, ApiError

HUGE_BYTES = 64 * 1024 * 1024

_PADDING = b'{"padding":"'
_PADDED = b'",'
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "requests",
}


async def replace_response(exchange: Exchange, fault: Fault) -> bool:
    """Whether the fault was one of those."""
    match fault.kind:
        case "status":
            _send_status(exchange, fault)
        case "hang_headers":
            await exchange.hang()
        case "html200":
            page = (
                f"<!doctype html><title>Sign in</title><p>{fault.text or 'Please sign in to continue.'}</p>\n"
            )
            exchange.send(200, page.encode(), HTML)
        case _:
            return False
    return True


def error_of(fault: Fault) -> ApiError:
    """What a fault says in OpenAI's shape."""
    kind = _TYPES.get(fault.code, "invalid_request_error" if fault.code < 500 else "server_error")
    return ApiError(
        fault.code, fault.text or f"scripted fault {fault.code}", kind, code=f"scripted_{fault.code}"
    )


async def write_padded(exchange: Exchange, body: bytes, *, total_bytes: int | None = HUGE_BYTES) -> None:
    """The JSON object on one line as before, with a member in front that is as long as that; None never ends."""
    exchange.write(_PADDING)
    await exchange.write_repeated(b"a" * BLOCK_BYTES, total_bytes)
    exchange.write(_PADDED + body[1:])
    await asyncio.sleep(0)


def _send_status(exchange: Exchange, fault: Fault) -> None:
    waits = {"retry-after": fault.retry_after, "retry-after-ms": fault.retry_after_ms}
    headers = {name: value for name, value in waits.items() if value is not None}
    exchange.send(fault.code, error_of(fault).body(), JSON, headers)
