"""Repeat a write until the journal is available again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from ..exceptions import StoreError

PAUSE = 0.5
"""Seconds between two attempts. The pauses do not grow, because the next turn should find the saved data."""
SECONDS = 300.0
"""How long the attempts go on."""


async def until_saved(save: Callable[[], Awaitable[None]], what: str) -> None:
    """Call `save`, and call it again after each StoreError, for at most SECONDS. `save` must be safe to repeat.

    `what` is the name of the saved data in the log. When the server stops, it cancels this task. A running attempt is
    then completed. If that attempt fails, or if the task is pausing between two attempts, `save` is called one last
    time. Raises the StoreError of the last attempt.
    """
    loop = asyncio.get_running_loop()
    until, warned, stopping = loop.time() + SECONDS, False, False
    while True:
        failed, cancelled = await _attempt(save)
        if failed is None:
            return
        if stopping or loop.time() > until:
            logger.error("{} could not be saved and are lost: {}", what, failed)
            raise failed
        if not warned:
            logger.warning("{} could not be saved; saving is retried: {}", what, failed)
            warned = True
        stopping = cancelled or await _pause()


async def _attempt(save: Callable[[], Awaitable[None]]) -> tuple[StoreError | None, bool]:
    """Call `save`, and wait for its end even if this task is cancelled.

    Return its StoreError, if any, and whether this task was cancelled.
    """
    saving = asyncio.ensure_future(save())
    cancelled = False
    try:
        await asyncio.shield(saving)
    except asyncio.CancelledError:
        if saving.cancelled():
            raise
        cancelled = True
        await asyncio.wait({saving})
    except StoreError:
        pass
    failed = saving.exception()
    if failed is not None and not isinstance(failed, StoreError):
        raise failed
    return failed, cancelled


async def _pause() -> bool:
    """Wait until the next attempt; return True at once if this task is cancelled."""
    try:
        await asyncio.sleep(PAUSE)
    except asyncio.CancelledError:
        return True
    return False
