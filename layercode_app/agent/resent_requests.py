"""An HTTP transport that sends a request again at once if the connection that it was sent on had gone stale.

A provider, or a proxy on the way, closes idle connections when it likes, and a request may meet that. It is sent again
only if its connection had been used before, and nothing of the response has come. An error on a new connection is
raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

MOST = 20
"""How often one request is sent at most: all idle connections may be stale, and each attempt removes one."""
LOST = {"RemoteProtocolError", "ReadError", "WriteError", "CloseError"}
"""The errors of a connection that was closed, by the names that httpx and httpx2 give them."""
Trace: TypeAlias = Callable[[str, Any], Awaitable[None]]


class ResendingTransport:
    """A transport of httpx or httpx2 around the client's own one."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    async def handle_async_request(self, request: Any) -> Any:
        """Send the request, and again for each stale connection that it met."""
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
            # The response's body is read without our trace.
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
    """Notes whether an attempt opened a connection. It is the `trace` extension of httpcore, which documents it."""

    def __init__(self, other: Trace | None) -> None:
        self._other = other
        self.connected = False

    async def __call__(self, name: str, info: Any) -> None:
        self.connected = self.connected or name.startswith("connection.connect")
        if self._other is not None:
            await self._other(name, info)


def _can_be_resent(request: Any) -> bool:
    """Return whether the request's body is bytes: one that is streamed may be used up."""
    return type(request.stream).__name__ == "ByteStream"
