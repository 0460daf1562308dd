"""Who hears a turn: one carrier of its frames, which may leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from .moment import Moment
from .record import Frame

Send = Callable[[Sequence[Frame]], Awaitable[None]]
"""Hands frames to a carrier; the last frame of a turn is always `response.end`."""


class Watcher(Protocol):
    """What finds out that nobody is at the other end any more, and lets the listener `leave`."""

    def watch(self) -> None:
        """Somebody wants to know from now on."""

    def rest(self) -> None:
        """Nobody wants to know for now."""


class Listener:
    """One carrier of a turn's frames. Its owner calls `leave` when nobody is at the other end any more.

    Where to find that out costs something, a `watcher` is told when somebody wants to know.
    """

    __slots__ = ("_idle", "_on_leave", "_send", "_sending", "_sent", "_watcher", "left")

    def __init__(self, send: Send, watcher: Watcher | None = None) -> None:
        self._send = send
        self._sent = 0
        self._sending = False
        self._idle: Moment | None = None
        """When that has ended, where somebody waits for it."""
        self._watcher = watcher
        self._on_leave: Callable[[Listener], None] | None = None
        self.left = Moment()
        """When the other end is gone."""

    @property
    def gone(self) -> bool:
        """Whether nobody is at the other end any more."""
        return self.left.past

    def leave(self) -> None:
        """The other end is gone: nothing more is sent, and the turn stops if nobody else listens."""
        self.left.come()
        if self._on_leave is not None:
            self._on_leave(self)

    def attach(self, on_leave: Callable[[Listener], None]) -> None:
        """Call `on_leave` when this listener leaves, now if it already has."""
        self._on_leave = on_leave
        if self.gone:
            on_leave(self)

    def let_go(self) -> None:
        """Nothing is sent any more: let go of carrier and turn, which would otherwise wait for the garbage collector."""
        self._send = _nowhere
        self._watcher = self._on_leave = None

    def watch(self) -> None:
        """From now on somebody wants to know when the other end is gone."""
        if self._watcher is not None:
            self._watcher.watch()

    def rest(self) -> None:
        """Nobody wants to know it for now."""
        if self._watcher is not None:
            self._watcher.rest()

    def begin_again(self) -> None:
        """Listen to the frames of another turn: what was sent counts no more."""
        self._sent = 0

    def up_to_date(self, frames: Sequence[Frame]) -> bool:
        """Whether every frame was sent."""
        return self._sent >= len(frames)

    async def catch_up(self, frames: Sequence[Frame]) -> None:
        """Send every frame not yet sent, in order, however many callers ask at once."""
        while self._sending:
            self._idle = self._idle or Moment()
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
                idle.come()


async def _nowhere(frames: Sequence[Frame]) -> None:
    """Where a listener sends that was let go."""
