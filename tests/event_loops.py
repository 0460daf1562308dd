"""Name the test that leaves an event loop open.

Python itself warns only when the loop is garbage-collected, and by then another test is running.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

FRAMES = 12
"""Maximum number of stack frames in an error. They show the place where the open event loop was created."""


@contextmanager
def no_loop_left_open() -> Iterator[None]:
    """Raise AssertionError if a loop that is made in the block is neither closed nor running at the block's end."""
    made: WeakKeyDictionary[asyncio.BaseEventLoop, str] = WeakKeyDictionary()
    original = asyncio.BaseEventLoop.__init__

    def noted(self: asyncio.BaseEventLoop, *given: Any) -> None:
        original(self, *given)
        made[self] = "".join(traceback.format_stack(limit=FRAMES))

    asyncio.BaseEventLoop.__init__ = noted  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        asyncio.BaseEventLoop.__init__ = original  # type: ignore[method-assign]
    for loop, way in made.items():
        assert loop.is_closed() or loop.is_running(), f"an event loop was left open, made at:\n{way}"
