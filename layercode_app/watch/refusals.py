"""Count, per minute, the requests that were refused before they became a turn.

A burst of refusals may be an attack, so refusals are counted in memory, and the counts are written in batches.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ..journal.stores.base import Store
from .metrics import REFUSALS
from .pending import PendingTotals

PREFIX = "refused/"
KEEP_SECONDS = 8 * 86_400
"""How long counts and host samples are stored: longer than the usual baseline of 7 days."""


class Refusals:
    """The counts of refused requests."""

    def __init__(self, store: Store, pending: PendingTotals) -> None:
        self._store = store
        self._pending = pending

    def add(self, name: str) -> None:
        """Count one refused request. `name` is the kind of refusal: "bad_signatures" or "authorize_refusals"."""
        assert name in REFUSALS
        self._pending.add(_key(time.time()), {name: 1})

    async def between(self, name: str, since: float, until: float) -> float:
        """Return the number of refusals from the minute of `since` to the minute of `until` (epoch seconds)."""
        first, last = _key(since), _key(until)
        kept = await self._store.totals(PREFIX)
        return sum(counts.get(name, 0.0) for key, counts in kept.items() if first <= key <= last)

    async def prune(self) -> None:
        """Delete the counts older than KEEP_SECONDS."""
        await self._store.drop_totals(PREFIX, before=_key(time.time() - KEEP_SECONDS))


def _key(seconds: float) -> str:
    return PREFIX + datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")
