"""An httpx transport that runs an ASGI app in this event loop, without a socket, and streams its response.

Unlike httpx's ASGITransport, it delivers each chunk when the app sends it. If the client closes the response early,
the app receives `http.disconnect`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx


class InProcess(httpx.AsyncBaseTransport):
    """A transport that sends every request to one ASGI app."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Start the app on the request, and return once it has sent status and headers.

        Raises the app's exception, or ReadError if the app returns without a response.
        """
        exchange = _Exchange(await request.aread())
        exchange.task = asyncio.create_task(self._run(_scope(request), exchange))
        try:
            start = await exchange.next()
        except BaseException:
            await exchange.aclose()
            raise
        headers = [(bytes(name), bytes(value)) for name, value in start["headers"]]
        return httpx.Response(start["status"], headers=headers, stream=exchange, request=request)

    async def _run(self, scope: dict[str, Any], exchange: _Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            exchange.finish()


class _Exchange(httpx.AsyncByteStream):
    """One request and its response: ASGI messages for the app, a byte stream for the client."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._sent: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._gone = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    # --- for the app

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self._sent.put_nowait(message)

    def finish(self) -> None:
        self._sent.put_nowait(None)

    # --- for the client

    async def next(self) -> dict[str, Any]:
        """Return the app's next message. Raises the app's exception, or ReadError if the app returned early."""
        message = await self._sent.get()
        if message is None:
            assert self.task is not None
            await self.task
            raise httpx.ReadError("the app returned before its response was complete")
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self.next()
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def aclose(self) -> None:
        self._gone.set()


def _scope(request: httpx.Request) -> dict[str, Any]:
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": (request.url.host, request.url.port or 80),
    }
