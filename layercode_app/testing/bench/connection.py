"""A fast HTTP client for one caller of a load test: it sends prepared bytes, and times each frame when it arrives.

All other code uses the client in `emulator.webhooks`. That client is too slow for load tests: with fifty callers at
once, its delays would dominate the measured times.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import httptools

from ...emulator.javascript import stringify
from ...exceptions import ConfigurationError
from ...journal.record import END, TTS
from ...stream.frames import Decoder
from ...webhook import HEADER, sign

LAST_CHUNK_SECONDS = 1.0
"""Seconds to wait, after the event `response.end`, for the end of the HTTP response. Then the connection is closed."""


@dataclass
class Heard:
    """The answer to one turn.

    `ttfs` is the time of the first speech, and `total` is the time of `response.end`. Both are milliseconds since the
    turn began, or None if the event did not arrive.
    """

    status: int = 0
    ttfs: float | None = None
    total: float | None = None
    frames: int = 0
    cut: bool = False
    """Whether the caller interrupted the answer."""
    error: str = ""


@dataclass(frozen=True)
class Address:
    """The address of a webhook. Raises ConfigurationError if it is not an HTTP URL."""

    url: str

    def __post_init__(self) -> None:
        try:
            fine = self.parts.scheme in ("http", "https") and self.parts.hostname and self.port
        except ValueError as error:
            raise ConfigurationError(f"{self.url!r} is not a URL: {error}.") from None
        if not fine:
            raise ConfigurationError(
                f"{self.url!r} is not a webhook's URL: expected one that begins with http:// or https:// and names a host."
            )

    @cached_property
    def parts(self) -> SplitResult:
        """The parsed URL."""
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        """The host's name or address."""
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        """The port, or the scheme's default."""
        return self.parts.port or (443 if self.parts.scheme == "https" else 80)

    @cached_property
    def ssl(self) -> ssl.SSLContext | None:
        """The TLS context for https, None for http."""
        return ssl.create_default_context() if self.parts.scheme == "https" else None

    def request(self, event: Mapping[str, Any], secret: str) -> bytes:
        """Return the event as a signed HTTP request."""
        body = stringify(event).encode()
        target = (self.parts.path or "/") + (f"?{self.parts.query}" if self.parts.query else "")
        lines = [
            f"POST {target} HTTP/1.1",
            f"host: {self.parts.netloc.rpartition('@')[2]}",
            "user-agent: layercode-create-app bench",
            "content-type: application/json",
            "accept-encoding: identity",
            f"content-length: {len(body)}",
            f"{HEADER}: {sign(body, secret)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


class Line:
    """A caller's line to a webhook: one connection, opened on demand and reused while the server keeps it alive."""

    def __init__(self, address: Address, *, timeout: float = 60.0) -> None:
        self._address = address
        self._timeout = timeout
        self._connection: _Connection | None = None

    async def turn(self, request: bytes, *, cut: bool = False) -> Heard:
        """Send a request and return the answer. With `cut`, hang up at the first speech.

        A failure raises nothing; it is stored in the `error` of the answer.
        """
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._turn(request, begun, cut=cut)
        except TimeoutError:
            self.close()
            return Heard(error="timeout")
        except OSError:
            return Heard(error="unreachable")

    async def _turn(self, request: bytes, begun: float, *, cut: bool) -> Heard:
        while True:
            kept = self._connection is not None and self._connection.usable
            if not kept:
                self._connection = await self._connect()
            assert self._connection is not None
            heard = await self._connection.turn(request, begun, cut=cut)
            # The server may close a kept-alive connection just as we write to it, so retry on a new one.
            if not (kept and heard.error == "broken" and not heard.status):
                return heard

    async def _connect(self) -> _Connection:
        at = self._address
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, at.host, at.port, ssl=at.ssl)
        return connection

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection(asyncio.Protocol):
    """A protocol that carries one turn at a time; httptools calls the `on_` methods."""

    def __init__(self) -> None:
        self._ended: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's, but have the same methods.
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    async def turn(self, request: bytes, begun: float, *, cut: bool) -> Heard:
        self._heard = Heard()
        self._begun, self._cut = begun, cut
        self._kind = b""
        self._decoder = Decoder()
        self._parser = httptools.HttpResponseParser(self)
        self._ended = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            await self._ended
        finally:
            self._ended = None
        return self._heard

    def data_received(self, data: bytes) -> None:
        self._now = (time.perf_counter() - self._begun) * 1000
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, ValueError):
            self._fail("malformed")

    def connection_lost(self, error: Exception | None) -> None:
        if self._heard_nothing_wrong():
            self._heard.error = "no response.end" if self._is_stream() and error is None else "broken"
        self._end(keep=False)

    # --- callbacks of httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._kind = value

    def on_headers_complete(self) -> None:
        self._heard.status = self._parser.get_status_code()
        self._keep = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if self._is_stream() and self._ended is not None:
            for payload in self._decoder.feed(data):
                self._frame(payload.get("type"))

    def on_message_complete(self) -> None:
        if self._heard_nothing_wrong():
            self._heard.error = "no response.end" if self._is_stream() else self._refusal()
        self._end(keep=self._keep)

    def _frame(self, kind: Any) -> None:
        heard = self._heard
        if heard.total is not None or heard.cut:
            return
        heard.frames += 1
        if kind == TTS and heard.ttfs is None:
            heard.ttfs = self._now
            if self._cut:
                heard.cut = True
                self._end(keep=False)
        elif kind == END:
            heard.total = self._now
            self._timer = asyncio.get_running_loop().call_later(LAST_CHUNK_SECONDS, lambda: self._end(keep=False))

    def _is_stream(self) -> bool:
        kind = self._kind.partition(b";")[0].strip().lower()
        return self._heard.status == 200 and kind == b"text/event-stream"

    def _refusal(self) -> str:
        return "no stream" if self._heard.status == 200 else f"status {self._heard.status}"

    def _heard_nothing_wrong(self) -> bool:
        """Return whether the turn is still open: no `response.end`, no interruption and no error so far."""
        return self._ended is not None and self._heard.total is None and not self._heard.cut and not self._heard.error

    def _fail(self, reason: str) -> None:
        if self._heard_nothing_wrong():
            self._heard.error = reason
        self._end(keep=False)

    def _end(self, *, keep: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not keep:
            self.close()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def close(self) -> None:
        self.usable = False
        self._transport.close()
