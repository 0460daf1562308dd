"""A listener of a turn: a connection that receives the turn's frames, and that may disconnect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ..journal.record import Frame
from .lazy_event import LazyEvent

Send = Callable[[Sequence[Frame]], Awaitable[None]]
"""Sends frames to a client; the last frame of a turn is always `response.end`."""


class Watcher(Protocol):
    """A detector of client disconnects, which calls the listener's `leave`."""

    def watch(self) -> None:
        """Start to watch for a disconnect."""

    def rest(self) -> None:
        """Stop watching until the next call of `watch`."""


class Listener:
    """A receiver of a turn's frames. Its owner calls `leave` when the client has disconnected.

    A `watcher` detects disconnects. It costs time, so it works only between a call of `watch` and a call of `rest`.
    """

    __slots__ = ("_idle", "_on_leave", "_send", "_sending", "_sent", "_watcher", "left")

    def __init__(self, send: Send, watcher: Watcher | None = None) -> None:
        self._send = send
        self._sent = 0
        self._sending = False
        self._idle: LazyEvent | None = None
        """Set when the running send has ended; None if no call of `catch_up` waits for its end."""
        self._watcher = watcher
        self._on_leave: Callable[[Listener], None] | None = None
        self.left = LazyEvent()
        """Set when the client has disconnected."""

    @property
    def gone(self) -> bool:
        """Whether the client has disconnected."""
        return self.left.past

    def leave(self) -> None:
        """Handle a disconnect: send nothing more, and stop the turn if it has no other listener."""
        self.left.set()
        if self._on_leave is not None:
            self._on_leave(self)

    def attach(self, on_leave: Callable[[Listener], None]) -> None:
        """Call `on_leave` when the client disconnects, or immediately if it has already disconnected."""
        self._on_leave = on_leave
        if self.gone:
            on_leave(self)

    def let_go(self) -> None:
        """Release the connection and the turn after the last send, so that no garbage collection is needed for them."""
        self._send = _nowhere
        self._watcher = self._on_leave = None

    def watch(self) -> None:
        """Start to watch for a disconnect. Do nothing if the listener has no watcher."""
        if self._watcher is not None:
            self._watcher.watch()

    def rest(self) -> None:
        """Stop watching for a disconnect for now."""
        if self._watcher is not None:
            self._watcher.rest()

    def begin_again(self) -> None:
        """Start over at the first frame, for another turn or another attempt of the same turn."""
        self._sent = 0

    def up_to_date(self, frames: Sequence[Frame]) -> bool:
        """Return whether all frames have been sent."""
        return self._sent >= len(frames)

    async def catch_up(self, frames: Sequence[Frame]) -> None:
        """Send the frames not sent yet, in order; concurrent calls wait for each other."""
        while self._sending:
            self._idle = self._idle or LazyEvent()
            await self._idle.wait()
        self._sending = True
        try:
            while (sent := self._sent) < len(frames) and not self.left.past:
                self._sent = len(frames)
                await self._send(frames[sent:])
        finally:
            self._sending = False
            if (idle := self._idle) is not None:
                self._idle = None
                idle.set()


async def _nowhere(frames: Sequence[Frame]) -> None:
    """Discard frames. A released listener uses this function as its `send`."""
