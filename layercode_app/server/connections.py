"""Uvicorn's HTTP connections with limits for clients that send slowly or endlessly, or do not read their answers.

Uvicorn limits the time of an idle connection only after its first answer. Without our limits a client that never
finishes a request, or never reads its answer, would keep its connection forever.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import orjson
from loguru import logger

from .._compat.uvicorn import CycleConnection
from ..settings import Settings
from .body_reader import BodyReceive
from .descriptors import Descriptors
from .socket_writer import StreamSend

LOOK_SECONDS = 1.0
SEND_BUFFER_BYTES = 65_536
"""Size of a socket's send buffer. A full buffer shows that the client does not read.

The operating system's default is several megabytes. A whole answer could fit in, so the buffer would never be full.
"""
BODY_GRACE_SECONDS = 1.0
"""Extra time for a body, so that `read_body` times out first and answers 408."""


@dataclass(frozen=True)
class Bounds:
    """The limits of a connection; times in seconds, sizes in bytes."""

    head_bytes: int
    head_seconds: float
    body_seconds: float
    unread_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """Return the limits from the settings."""
        return cls(
            settings.header_limit, settings.header_timeout, settings.body_timeout + BODY_GRACE_SECONDS,
            settings.unread_timeout,
        )  # fmt: skip

    @property
    def look_seconds(self) -> float:
        """Seconds between two checks of a connection."""
        return min(LOOK_SECONDS, self.head_seconds / 4, self.body_seconds / 4, self.unread_seconds / 4)


class BoundedConnection(CycleConnection):
    """A connection that is checked by one timer, every second by default, instead of timers for each request."""

    _descriptors = Descriptors()
    """Shared by all connections, so that the warning is logged once a minute and not for each connection."""

    def __init__(self, *arguments: Any, bounds: Bounds, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._bounds = bounds
        self._awaited: Literal["head", "body"] | None = None
        self._awaited_since = 0.0
        self._head_bytes = 0
        self._completed = False
        """Whether a request was completed in the chunk of data that is being parsed."""
        self._uncounted = False
        """True if the current request began in the chunk that completed the previous request.

        `_head_bytes` does not include the part of the head that was in this chunk.
        """
        self._unread_since: float | None = None
        self._look_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set the socket options. Start to check regularly whether the client sends and reads in time."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # Uvicorn binds its workers' sockets without naming the protocol, so asyncio leaves Nagle's algorithm on.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._descriptors.note(connection.fileno())
        self._await("head")
        self._look_timer = self.loop.call_later(self._bounds.look_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer that checks the limits of this connection."""
        self._look_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass data to the parser, and refuse a head that is too large, even if it arrives in small pieces."""
        if self._awaited is None:
            # Blank lines before a request also start this wait, because they cancel uvicorn's keep-alive timeout.
            self._await("head")
        if self._awaited == "head" and len(data) > (room := self._bounds.head_bytes - self._head_bytes):
            self._feed(data[:room])
            if self._awaited == "head":
                self._refuse(431, self._too_large)
            if self.transport.is_closing():
                return  # refused
            data = data[room:]
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._head_bytes += len(data)
        self._completed = False
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Record whether the request begins in the chunk of data that completed the previous request."""
        self._uncounted = self._completed
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Wait for the body from now on.

        Raises ValueError for a head that is too large, if it began in the chunk that completed the previous request:
        `data_received` does not notice such a head.
        """
        if self._uncounted and self.parsed_bytes() > self._bounds.head_bytes:
            raise ValueError(self._too_large)
        self._await("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting: the request is complete."""
        self._awaited, self._head_bytes, self._completed = None, 0, True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer data that the parser refused: 431 for a head that is too large, 400 for data that is not HTTP."""
        if self._uncounted and self.parsed_bytes() > self._bounds.head_bytes:
            self._head_bytes = self.parsed_bytes()
            self._refuse(431, self._too_large)
            return
        super().send_400_response(msg)

    @property
    def _too_large(self) -> str:
        return (
            f"The request's headers have over {self._bounds.head_bytes} bytes. Send fewer, or raise "
            "LAYERCODE_HEADER_LIMIT."
        )

    def channels(self, cycle: Any, receive: Any, send: Any) -> tuple[Any, Any]:
        """Return our own `receive` and `send` for a request. They wrap uvicorn's `receive` and `send`."""
        return BodyReceive(cycle, receive), StreamSend(cycle, send)

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
            if self.answering:
                # The client sends its next request during our answer: time that request from the end of the answer.
                self._awaited_since = now
            elif waited > self._bounds.head_seconds:
                self._refuse(408, f"The request's headers did not arrive within {self._bounds.head_seconds:g} s.")
        elif self._awaited == "body" and waited > self._bounds.body_seconds:
            self._end("the body of its request did not arrive in time")

    def _look_at_answer(self, now: float) -> None:
        """End the connection if the transport has had unsent data for too long: the client does not read."""
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > self._bounds.unread_seconds:
            self._end("the client does not read the answer")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer with an error and close the connection. If no byte of a request has arrived, send no answer."""
        self._awaited = None
        if self.transport.is_closing():
            return
        if self._head_bytes:
            logger.warning("Connection from {} refused with {}: {}", self._who, status, reason)
            body = orjson.dumps({"error": reason})
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.transport.close()

    def _end(self, why: str) -> None:
        logger.warning("Connection from {} closed: {}.", self._who, why)
        self._look_no_more()
        self.transport.abort()

    @property
    def _who(self) -> str:
        return self.client[0] if self.client else "an unknown client"
