"""HTTP connections that end: uvicorn's own, with bounds on what a client may send slowly, endlessly, or leave unread.

Uvicorn bounds the time of an idle connection only after its first answer. One that never finishes a request, or never
reads its answer, would otherwise be kept for ever.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import orjson
from loguru import logger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..settings import Settings
from .receiving import BodyReceive
from .sending import StreamSend

LOOK_SECONDS = 1.0
SEND_BUFFER_BYTES = 65_536
"""What a socket takes before we know that nobody reads; left alone it grows to megabytes, and the reply with it."""
BODY_GRACE_SECONDS = 1.0
"""What reads a body says first that it came too slowly."""


@dataclass(frozen=True)
class Bounds:
    """What a client may take; times in seconds, sizes in bytes."""

    head_bytes: int
    head_seconds: float
    body_seconds: float
    unread_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """The bounds that the settings name."""
        return cls(
            settings.header_limit, settings.header_timeout, settings.body_timeout + BODY_GRACE_SECONDS,
            settings.unread_timeout,
        )  # fmt: skip

    @property
    def look_seconds(self) -> float:
        """How often a connection is looked at."""
        return min(LOOK_SECONDS, self.head_seconds / 4, self.body_seconds / 4, self.unread_seconds / 4)


class BoundedConnection(HttpToolsProtocol):
    """A connection that is looked at every second while it is open, so that a request costs nothing more."""

    def __init__(self, *arguments: Any, bounds: Bounds, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._bounds = bounds
        self._awaited: Literal["head", "body"] | None = None
        self._awaited_since = 0.0
        self._head_bytes = 0
        self._completed = False
        """Whether a request was completed by the data that is fed now."""
        self._uncounted = False
        self._unread_since: float | None = None
        self._look_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # The sockets that uvicorn binds for its workers do not name TCP, so that asyncio leaves Nagle's algorithm on.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._await("head")
        self._look_timer = self.loop.call_later(self._bounds.look_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._look_no_more()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """What carries on has bounds of its own."""
        self._look_no_more()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Feed the parser no more of a head than its limit: exactly as many bytes, however they are packed."""
        if self._awaited is None:
            # Blank lines before a request count too: they keep a connection from being idle.
            self._await("head")
        if self._awaited == "head" and len(data) > (room := self._bounds.head_bytes - self._head_bytes):
            self._feed(data[:room])
            if self._awaited == "head":
                self._refuse(431, self._too_large)
            if self.transport.is_closing() or self._look_timer is None:
                return  # refused, or a WebSocket by now
            data = data[room:]
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._head_bytes += len(data)
        self._completed = False
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request that begins behind another one in the same piece of data has not been counted."""
        self._uncounted = self._completed
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """From now on its body is awaited."""
        if self._uncounted and self._parsed_bytes() > self._bounds.head_bytes:
            raise ValueError(self._too_large)
        self._await("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._awaited, self._head_bytes, self._completed = None, 0, True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and a head that turned out to be too large."""
        if self._uncounted and self._parsed_bytes() > self._bounds.head_bytes:
            self._head_bytes = self._parsed_bytes()
            self._refuse(431, self._too_large)
            return
        super().send_400_response(msg)

    def _parsed_bytes(self) -> int:
        """The bytes of the head as it was parsed."""
        line = len(self.parser.get_method()) + len(self.url) + len("  HTTP/1.1\r\n\r\n")
        return line + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    @property
    def _too_large(self) -> str:
        return (
            f"The request's headers have over {self._bounds.head_bytes} bytes. Send fewer, or raise "
            "LAYERCODE_HEADER_LIMIT."
        )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Where a later uvicorn has no such method, its own two are used: slower, and a body whose client has gone is lost.
        def streaming(scope: Any, receive: Any, send: Any) -> Any:
            return app(scope, BodyReceive(cycle, receive), StreamSend(cycle, send))

        super()._start_asgi_task(cycle, streaming)

    def _await(self, what: Literal["head", "body"]) -> None:
        self._awaited, self._awaited_since = what, self.loop.time()

    def _look_no_more(self) -> None:
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None

    def _look(self) -> None:
        self._look_timer = self.loop.call_later(self._bounds.look_seconds, self._look)
        now = self.loop.time()
        self._look_at_request(now)
        self._look_at_answer(now)

    def _look_at_request(self, now: float) -> None:
        waited = now - self._awaited_since
        if self._awaited == "head":
            if self._answering:
                # It has begun the next request while we still answer: its time begins when we have.
                self._awaited_since = now
            elif waited > self._bounds.head_seconds:
                self._refuse(408, f"The request's headers did not arrive within {self._bounds.head_seconds:g} s.")
        elif self._awaited == "body" and waited > self._bounds.body_seconds:
            self._end("its body did not arrive in time")

    def _look_at_answer(self, now: float) -> None:
        """The transport holds what the socket does not take, which is far more than an answer: nobody reads there."""
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > self._bounds.unread_seconds:
            self._end("it does not read what it is sent")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer with an error and close; a connection on which nothing ever came is only closed."""
        self._awaited = None
        if self.transport.is_closing():
            return
        if self._head_bytes:
            logger.warning("Connection of {} refused with {}: {}", self._who, status, reason)
            body = orjson.dumps({"error": reason})
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.transport.close()

    def _end(self, why: str) -> None:
        logger.warning("Connection of {} ended: {}.", self._who, why)
        self._look_no_more()
        self.transport.abort()

    @property
    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is not None and not cycle.response_complete

    @property
    def _who(self) -> str:
        return self.client[0] if self.client else "an unknown client"
