"""Open the journal when the server starts. If that fails, retry until it succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from loguru import logger

from ..exceptions import StoreError
from ..journal.stores.base import Store

REOPEN_SECONDS = 1.0


class Journal:
    """A store that may be unavailable when the server starts.

    The method `open` opens the store, and then awaits the callback `opened`. If the store cannot be opened, the method
    returns, and a background task repeats both steps until they succeed. If the store can be opened but the callback
    raises StoreError, the method raises this error. In the background task, a StoreError of either step only leads to
    the next attempt.
    """

    def __init__(self, store: Store, *, opened: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._opened = opened
        self._reopening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the store. If that fails, retry in a task; callers hear the apology until it succeeds."""
        try:
            await self._store.open()
        except StoreError as error:
            logger.error("{} Callers hear the apology until the journal can be opened.", error)
            self._reopening = asyncio.create_task(self._reopen(), name="journal-reopen")
        else:
            await self._opened()

    async def _reopen(self) -> None:
        while True:
            await asyncio.sleep(REOPEN_SECONDS)
            with suppress(StoreError):
                await self._store.open()
                await self._opened()
                logger.info("The journal ({}) is open again.", self._store.component)
                return

    async def close(self) -> None:
        """Stop retrying, and close the store after its pending writes."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        await self._store.close()
