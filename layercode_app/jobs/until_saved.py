"""Repeat a write until the journal is available again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from ..exceptions import StoreError

PAUSE = 0.5
"""Seconds between the attempts. The next turn should find what is written, so the pauses do not grow."""
SECONDS = 300.0
"""How long the attempts go on."""


async def until_saved(save: Callable[[], Awaitable[None]], what: str) -> None:
    """Call `save` until it raises no StoreError, for at most SECONDS. It must be safe to call it again.

    If this task is cancelled, because the server stops, there is one more attempt. In the log, `what` names what
    is saved. Raises the last StoreError.
    """
    until = asyncio.get_running_loop().time() + SECONDS
    warned = stopping = False
    while True:
        try:
            return await save()
        except StoreError as error:
            if stopping or asyncio.get_running_loop().time() > until:
                logger.error("{} could not be saved and are lost: {}", what, error)
                raise
            if not warned:
                logger.warning("{} could not be saved; saving is retried: {}", what, error)
                warned = True
        try:
            await asyncio.sleep(PAUSE)
        except asyncio.CancelledError:
            stopping = True
