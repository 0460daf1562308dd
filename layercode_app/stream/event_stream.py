"""Stream frames over one HTTP response on plain ASGI, and notice when the client disconnects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

from ..conversation.listener import Listener
from ..journal.record import END, Frame
from .frames import HEADERS, encode_all

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

WATCH_AFTER_SECONDS = 0.005
START: Message = {"type": "http.response.start", "status": 200, "headers": HEADERS}
"""The first message of every stream. Send a copy with a new list of headers, because middleware may change the list."""


class EventStream:
    """The Server-Sent Events of one turn, sent to one client.

    Use it as a context manager. The turn sends its frames to `listener`. After `watch` was called, a disconnect of the
    client calls `listener.leave()`.
    """

    def __init__(self, receive: Receive, send: Send, turn_id: str) -> None:
        self._receive = receive
        self._asgi_send = send
        self._turn_id = turn_id
        self._started = False
        self._watching_at = time.perf_counter() + WATCH_AFTER_SECONDS
        self._timer: asyncio.Handle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.listener = Listener(self._send, self)

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        self.listener.let_go()

    def watch(self) -> None:
        """Start watching for the client's disconnect, WATCH_AFTER_SECONDS after the request at the earliest."""
        # A turn that ends at once needs no watcher: the task of the watcher would cost as much as the rest of the turn.
        if self._watcher is None and self._timer is None:
            wait = self._watching_at - time.perf_counter()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait, self._begin) if wait > 0 else loop.call_soon(self._begin)

    def rest(self) -> None:
        """Cancel the scheduled start of the watch for a disconnect. If the watch has already begun, it continues."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        self._watcher = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.listener.leave()

    async def _send(self, frames: Sequence[Frame]) -> None:
        if not self._started:
            self._started = True
            await self._asgi_send({**START, "headers": HEADERS.copy()})
        more = frames[-1].type != END
        body = encode_all(frames, self._turn_id)
        await self._asgi_send({"type": "http.response.body", "body": body, "more_body": more})
