"""Frames over one HTTP response, on plain ASGI: sent as they come, and a disconnect is noticed at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

from ..conversation.live import Listener
from ..conversation.record import Frame
from .frames import END, HEADERS, encode_all

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

WATCH_AFTER_SECONDS = 0.005
START: Message = {"type": "http.response.start", "status": 200, "headers": HEADERS}


class EventStream:
    """The Server-Sent Events of one turn, towards one client.

    Used as a context: inside it the client's disconnect makes `listener` leave.
    """

    def __init__(self, receive: Receive, send: Send, turn_id: str) -> None:
        self._receive = receive
        self._asgi_send = send
        self._turn_id = turn_id
        self._started = False
        self._watcher: asyncio.Task[None] | None = None
        self.listener = Listener(self._send)

    async def __aenter__(self) -> EventStream:
        # A turn that is over in no time needs no watcher, and a task costs as much as the rest of such a turn.
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._begin_to_watch)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        self.listener.let_go()

    def _begin_to_watch(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.listener.leave()

    async def _send(self, frames: Sequence[Frame]) -> None:
        if not self._started:
            self._started = True
            await self._asgi_send(START)
        more = frames[-1].type != END
        body = encode_all(frames, self._turn_id)
        await self._asgi_send({"type": "http.response.body", "body": body, "more_body": more})
