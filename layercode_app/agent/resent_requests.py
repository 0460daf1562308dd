"""An HTTP transport that resends a request at once if its connection was stale.

A provider or a proxy may close an idle connection just when a request is sent on it. The request is resent only if its
connection had been used before and no part of the response has arrived. An error on a new connection is raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

MOST = 20
"""The maximum number of attempts per request. All idle connections may be stale; each attempt removes one of them."""
LOST = {"RemoteProtocolError", "ReadError", "WriteError", "CloseError"}
"""The names that httpx and httpx2 give to the errors of a closed connection."""
Trace: TypeAlias = Callable[[str, Any], Awaitable[None]]


class ResendingTransport:
    """A transport for httpx or httpx2. It sends requests through the client's own transport, `wrapped`."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    async def handle_async_request(self, request: Any) -> Any:
        """Send the request and return the response. If the request fails because its connection was stale, resend it.

        Raises the transport's error if the request fails for another reason, or cannot be resent.
        """
        given = request.extensions
        for _ in range(MOST - 1):
            attempt = _Attempt(given.get("trace"))
            request.extensions = {**given, "trace": attempt}
            try:
                response = await self.wrapped.handle_async_request(request)
            except Exception as error:
                if attempt.connected or type(error).__name__ not in LOST or not _can_be_resent(request):
                    raise
                continue
            # Remove our trace before the response's body is read.
            del request.extensions["trace"]
            request.extensions.update(given)
            return response
        request.extensions = given
        return await self.wrapped.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.wrapped.aclose()

    async def __aenter__(self) -> ResendingTransport:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.wrapped.__aexit__(*error)


class _Attempt:
    """The callback for httpcore's documented `trace` extension. Records whether an attempt opened a new connection."""

    def __init__(self, other: Trace | None) -> None:
        self._other = other
        self.connected = False

    async def __call__(self, name: str, info: Any) -> None:
        self.connected = self.connected or name.startswith("connection.connect")
        if self._other is not None:
            await self._other(name, info)


def _can_be_resent(request: Any) -> bool:
    """Return whether the request's body is bytes. A streamed body may be consumed already."""
    return type(request.stream).__name__ == "ByteStream"
