"""HTTP/1.1 as uvicorn speaks it, with bounds on what comes before a body, which comes in large pieces.

uvicorn bounds neither the time nor the size of a request's head: a client that sends a header byte a
minute would keep a connection for ever. Bodies are bounded by the doors that read them.

Browsers write uploads in pieces of 16 KiB. Each one wakes the event loop, the request's task and whoever
reads the body; where they come fast, the connection rests for a moment so that the kernel gathers many.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0
HEAD_BYTES = 64 << 10
_REST_S, _FAST_S = 0.001, 0.002
_LARGE = 128 << 10
"""A piece worth waking up for."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is late or too large."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _last_data = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            self._gather(len(data))
        elif self._head_bytes > HEAD_BYTES:
            self.transport.close()

    def _gather(self, size: int) -> None:
        now = self.loop.time()
        fast, self._last_data = now - self._last_data < _FAST_S, now
        if fast and size < _LARGE and self.cycle.more_body and not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_later(_REST_S, self._go_on)

    def _go_on(self) -> None:
        if not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def on_message_begin(self) -> None:
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._stop_timer()
        self._in_head = True
        self._head_bytes = 0
        loop: Any = self.loop
        self._head_timer = loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
