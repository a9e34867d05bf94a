"""HTTP on the wire, with the deadlines that uvicorn leaves open.

Slow headers, slow readers, too many connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from residua.server.limits import Limits

_HEAD_SECONDS = 10.0  # to send the head of a request
_TOO_MANY = (
    b'{"code":"too-many-connections","message":"Too many connections are open. Try again in a'
    b' moment."}'
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After:"
    b" 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(_TOO_MANY)
) + _TOO_MANY


def bounded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn whose connections keep to `limits`."""
    return type("BoundedProtocol", (_BoundedProtocol,), {"limits": limits})


class _BoundedProtocol(H11Protocol):
    limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.write(_FULL)
            transport.close()
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what it asked for; it may take as long as an upload may."""
        super().pause_writing()
        self._read_deadline = self.loop.call_later(self.limits.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None

    def _watch_head(self) -> None:
        """Watch the time between two requests.

        A client has a few seconds to send the head of the next, and what is left of a refused body.
        """
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if is_busy and self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
        elif not is_busy and self._head_deadline is None and not self.transport.is_closing():
            self._head_deadline = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _cancel(self) -> None:
        for deadline in (self._head_deadline, self._read_deadline):
            if deadline is not None:
                deadline.cancel()
        self._head_deadline = self._read_deadline = None
