"""Give the first word of an answer priority over the later words of other answers when the event loop is busy.

A caller hears the silence before the first word. Later words arrive faster than they are spoken, so they can wait for
some milliseconds. An event loop has no priorities: it processes everything in the order of arrival. So in each
iteration of the loop, only one of the answers that already have their first word may process its next piece.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from .replayed_events import WrappedEvents


class Turnstile:
    """Lets one task pass in each iteration of the event loop. The other tasks wait, in order of arrival."""

    __slots__ = ("_passed", "_waiting")

    def __init__(self) -> None:
        self._passed = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def pass_through(self, loop: asyncio.AbstractEventLoop) -> None:
        """Return at once if no task has passed in this iteration of the loop. Otherwise, wait in line."""
        if self._passed:
            waiting = loop.create_future()
            self._waiting.append(waiting)
            await waiting
        else:
            self._passed = True
            loop.call_soon(self._open, loop)

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the next waiting task continue. The event loop calls this once in each iteration until no task waits."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():  # A task that was cancelled while it waited does not pass.
                waiting.set_result(None)
                loop.call_soon(self._open, loop)
                return
        self._passed = False


_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile] = WeakKeyDictionary()
"""A turnstile for each event loop. A turnstile does not refer to its loop, so that Python can delete the loop."""


def turnstile_of(loop: asyncio.AbstractEventLoop) -> Turnstile:
    """Return the turnstile of an event loop. Create it at the first call."""
    found = _turnstiles.get(loop)
    if found is None:
        found = _turnstiles[loop] = Turnstile()
    return found


class LaterPieces(WrappedEvents):
    """Iterates over the events of a model's stream.

    As soon as `spoke()` is true, each event waits at the loop's `Turnstile`, through which one event passes at a time.
    """

    __slots__ = ("_loop", "_spoke", "_turnstile")

    def __init__(self, events: AsyncIterator[Any], spoke: Callable[[], bool]) -> None:
        super().__init__(events)
        self._spoke = spoke
        self._loop = asyncio.get_running_loop()
        self._turnstile = turnstile_of(self._loop)

    def __anext__(self) -> Awaitable[Any]:
        # Until the first word, return the stream's own awaitable: this adds no coroutine to an event.
        return self._pass() if self._spoke() else self._events.__anext__()

    async def _pass(self) -> Any:
        event = await self._events.__anext__()
        await self._turnstile.pass_through(self._loop)
        return event
