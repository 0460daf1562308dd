"""Deliver signed events to a backend, and read its answer as it arrives.

    async with WebhookClient(url, secret) as client, client.deliver(event) as answer:
        async for frame in answer.frames():
            print(frame.at_ms, frame.type, frame.content)

Leaving the `deliver` block early, or cancelling its task, closes the TCP connection. The platform interrupts a
reply in the same way. Times are in milliseconds since the start of the request.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from ipaddress import ip_address
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from ..exceptions import ConfigurationError, DeliveryError
from ..stream.frames import Decoder
from ..webhook import HEADER, sign
from .javascript import parse, stringify

LAST_PORT = 65_535


class Received(NamedTuple):
    """One event of a backend's stream, with its arrival time."""

    at_ms: float
    payload: dict[str, Any]

    @property
    def type(self) -> str:
        """The event's type, such as `response.tts`; empty if it has none."""
        kind = self.payload.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def content(self) -> Any:
        """The text of a `response.tts`, or the data of a `response.data`."""
        return self.payload.get("content")

    @property
    def turn_id(self) -> Any:
        """The event's turn id, as sent by the backend."""
        return self.payload.get("turn_id")


class Answer:
    """A backend's answer whose status and headers have arrived. The body is read as it arrives, and only once."""

    def __init__(self, response: httpx.Response, elapsed: Callable[[], float]) -> None:
        self._response = response
        self._elapsed = elapsed
        self.accepted_ms = elapsed()
        """Milliseconds from the start of the request until status and headers had arrived."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return self._response.is_success

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, case-insensitive."""
        return self._response.headers

    @property
    def is_stream(self) -> bool:
        """Whether the body is Server-Sent Events."""
        kind = self.headers.get("content-type", "").partition(";")[0]
        return kind.strip().lower() == "text/event-stream"

    async def frames(self) -> AsyncIterator[Received]:
        """Yield each event as it arrives. Raises DeliveryError if the stream breaks off or is malformed."""
        decoder = Decoder()
        with _delivery_errors(self._response.request.url):
            async for chunk in self._response.aiter_bytes():
                for payload in _decode(decoder, chunk):
                    yield Received(self._elapsed(), payload)

    async def chunks(self) -> AsyncIterator[tuple[float, bytes]]:
        """Yield each chunk of the body with its arrival time. Raises DeliveryError if it breaks off."""
        with _delivery_errors(self._response.request.url):
            async for chunk in self._response.aiter_bytes():
                yield self._elapsed(), chunk

    async def body(self) -> bytes:
        """Return the whole body. Raises DeliveryError if it breaks off."""
        with _delivery_errors(self._response.request.url):
            return await self._response.aread()

    async def json(self) -> Any:
        """Return the body as JSON, None if it is empty. Raises DeliveryError if it is not JSON."""
        body = await self.body()
        try:
            return parse(body) if body.strip() else None
        except ValueError as error:
            raise DeliveryError(f"the answer is not JSON: {body[:80]!r}", reason="malformed") from error


class WebhookClient:
    """Posts events to one webhook URL, signed with one secret.

    `timeout` is the maximum number of seconds without a byte; `headers` are sent with every request. An `http` client
    that is passed in (for limits, proxies or in-process transport) keeps its own timeout, and `aclose` does not close
    it. Raises ConfigurationError for an invalid URL.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.url = check_url(url)
        self.secret = secret
        self._headers = dict(headers or {})
        self._clock = clock
        self._owned = http is None
        self._http = http or httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=not is_loopback(self.url.host),
        )

    def deliver(
        self,
        event: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        timestamp: int | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> AbstractAsyncContextManager[Answer]:
        """Post a signed event; use as an async context manager.

        `timestamp` is the time in the signature (Unix seconds); by default, it is the current time.

        `on_sent` is called when the whole request is sent. Entering the context raises DeliveryError if no answer
        arrives. A status other than 2xx raises no error; check `Answer.ok`.
        """
        body = stringify(event).encode()
        signature = sign(body, self.secret, timestamp=timestamp)
        return self.send(body, headers={HEADER: signature, **(headers or {})}, on_sent=on_sent)

    def send(
        self, body: bytes, *, headers: Mapping[str, str] | None = None, on_sent: Callable[[], None] | None = None
    ) -> AbstractAsyncContextManager[Answer]:
        """Post bytes with the given headers, unsigned; use as an async context manager."""
        content_type = {"content-type": "application/json", "accept-encoding": "identity"}
        request = self._http.build_request(
            "POST",
            self.url,
            content=body,
            headers={**content_type, **self._headers, **(headers or {})},
            extensions={} if on_sent is None else {"trace": _tracer(on_sent)},
        )
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: httpx.Request) -> AsyncIterator[Answer]:
        start = self._clock()
        with _delivery_errors(request.url):
            response = await self._http.send(request, stream=True)
        try:
            yield Answer(response, lambda: (self._clock() - start) * 1000)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections, unless the `http` client was passed in."""
        if self._owned:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _tracer(on_sent: Callable[[], None]) -> Callable[[str, Any], Awaitable[None]]:
    async def trace(name: str, _: Any) -> None:
        if name.endswith(".send_request_body.complete"):
            on_sent()

    return trace


def _decode(decoder: Decoder, chunk: bytes) -> Iterator[dict[str, Any]]:
    try:
        yield from decoder.feed(chunk)
    except ValueError as error:
        raise DeliveryError(f"the stream holds an event that is not JSON: {error}", reason="malformed") from error


@contextmanager
def _delivery_errors(url: httpx.URL) -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        message = f"nothing answers at {url} ({error}). Check that the backend runs, and that this is its webhook URL"
        raise DeliveryError(message, reason="unreachable") from error
    except httpx.TimeoutException as error:
        raise DeliveryError(f"{url} sent no data before the timeout", reason="timeout") from error
    except (httpx.TransportError, httpx.StreamError) as error:
        detail = str(error) or type(error).__name__
        raise DeliveryError(f"{url} broke off the connection: {detail}", reason="broken") from error


def check_url(url: str) -> httpx.URL:
    """Return the parsed URL of a webhook or a service. Raises ConfigurationError if it is not valid."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{url!r} is not a URL ({error}); expected one such as http://host/path") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"the URL {url!r} must begin with http:// or https:// and name a host")
    if (parsed.port or 0) > LAST_PORT:
        raise ConfigurationError(f"the port of the URL {url!r} is too large; expected at most {LAST_PORT}")
    return parsed


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine. Requests to it must not use a proxy."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
