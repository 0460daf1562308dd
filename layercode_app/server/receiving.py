"""The body of a request, as soon as it is whole, and also when its client has gone by then.

Uvicorn answers `receive` with the disconnect where the connection was closed before the application asked: what had
arrived is dropped. Here that is what a caller said, and what the platform tells of the turn before.
"""

from __future__ import annotations

from typing import Any

from ..stream.response import Message, Receive


class BodyReceive:
    """An ASGI `receive` in place of that of uvicorn's request-response cycle: a whole body comes first, whatever else."""

    __slots__ = ("_cycle", "_given", "_receive")

    def __init__(self, cycle: Any, receive: Receive) -> None:
        self._cycle = cycle
        self._receive = receive
        self._given = False

    async def __call__(self) -> Message:
        """The next message."""
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
            # What is waited for next is the disconnect.
            cycle.message_event.clear()
            cycle.flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": False}
