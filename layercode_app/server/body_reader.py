"""Deliver the body of a request once it is complete, even if its client has already disconnected.

If the connection was closed before the application called `receive`, uvicorn returns the disconnect and drops the body.
The body of a webhook contains the caller's words and the platform's report of the previous turn. It must not be lost.
"""

from __future__ import annotations

from typing import Any

from ..stream.event_stream import Message, Receive


class BodyReceive:
    """Replaces uvicorn's ASGI `receive`: it delivers a complete body even if the client has already disconnected."""

    __slots__ = ("_cycle", "_given", "_receive")

    def __init__(self, cycle: Any, receive: Receive) -> None:
        self._cycle = cycle
        self._receive = receive
        self._given = False

    async def __call__(self) -> Message:
        """Return the next message."""
        cycle = self._cycle
        if self._given or cycle.response_complete:
            return await self._receive()
        if cycle.more_body:
            message = await self._receive()
            if message["type"] == "http.request" or cycle.more_body:
                self._given = not message.get("more_body", False)
                return message
        return self._rest_of_body()

    def _rest_of_body(self) -> Message:
        cycle, self._given = self._cycle, True
        body, cycle.body = bytes(cycle.body), bytearray()
        if not cycle.disconnected:
            # The next event to wait for is the disconnect.
            cycle.message_event.clear()
            cycle.flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": False}
