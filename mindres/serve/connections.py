"""Limits on the number of connections, and on the time that the head of a request may take."""

from __future__ import annotations

import asyncio
import time

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 400
HEAD_S = 10.0
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n"
    b"content-length: 0\r\n\r\n"
)


class Connection(H11Protocol):
    """A connection that is closed unless the head of a request is complete within `HEAD_S`.

    If there are too many connections, the one that has been idle longest is closed for a new one;
    requests in progress are not interrupted.
    """

    def connection_made(self, transport) -> None:
        self.idle_since = time.monotonic()
        self.deadline: asyncio.TimerHandle | None = None
        others = [each for each in self.connections if isinstance(each, Connection)]
        super().connection_made(transport)
        if len(others) >= MOST_CONNECTIONS:
            self._make_room([each for each in others if each.is_idle()])
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.is_idle():
            self._got_head()
        elif self.deadline is None:
            self._expect_head()

    def on_response_complete(self) -> None:
        self.idle_since = time.monotonic()
        super().on_response_complete()

    def connection_lost(self, exc) -> None:
        self._got_head()
        super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self, idle: list[Connection]) -> None:
        if idle:
            min(idle, key=lambda each: each.idle_since).transport.abort()
        else:
            self.transport.write(FULL)
            self.transport.close()

    def _expect_head(self) -> None:
        self.deadline = self.loop.call_later(HEAD_S, self._close_if_idle)

    def _got_head(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _close_if_idle(self) -> None:
        self.deadline = None
        if self.is_idle():
            self.transport.close()
