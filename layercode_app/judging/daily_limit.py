"""What the judges of live calls have cost today, over all workers and hosts, and whether that is too much."""

from __future__ import annotations

import time

from loguru import logger

from ..journal.cost import dollars
from ..journal.stores.base import Store
from .spending import Spent

JUDGED = "judges/"
"""The prefix of the totals of a UTC day: `cost` in dollars, and how many questions were `asked`."""


def _today() -> str:
    return f"{JUDGED}{time.strftime('%Y-%m-%d', time.gmtime())}"


async def used_up(store: Store, limit: float) -> bool:
    """Return whether today's judges have cost the limit in dollars; the first call that is left out is logged."""
    today = _today()
    cost = (await store.totals(today)).get(today, {}).get("cost", 0.0)
    if cost < limit:
        return False
    if (await store.add_totals(today, {"left_out": 1}))["left_out"] == 1:
        logger.warning(
            "No more calls are judged today: the judges have cost {}, and LAYERCODE_JUDGE_MAX_COST is {}.",
            dollars(cost),
            dollars(limit),
        )
    return True


async def add(store: Store, spent: Spent) -> None:
    """Add what one question has cost."""
    await store.add_totals(_today(), {"cost": spent.amount, "asked": 1, "unpriced": spent.unpriced})
