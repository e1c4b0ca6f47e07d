"""Connections as uvicorn reads them, closed where a client takes its time."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_WITHIN_S = 10.0  # from the first byte, or the connection's beginning, to the end of a request's head
MAX_HEAD_BYTES = 64 * 1024


class PatientProtocol(HttpToolsProtocol):
    """A request's head must arrive in time and be no larger than MAX_HEAD_BYTES; otherwise the connection is closed.
    uvicorn itself waits for ever, and reads as much as there is."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _has_body_to_come = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Begin to wait at the first byte of a further head, or of the rest of a body that was answered already."""
        if self._deadline is None and (not self._has_body_to_come or self.cycle.response_complete):
            self._expect_head()
        if not self._has_body_to_come:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._deadline is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._give_up()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._expect_nothing()
        self._has_body_to_come = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there, be it that the reply was before it."""
        self._has_body_to_come = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._expect_nothing()
        self.transport.close()
