"""Limit the daily cost of judging live calls, over all workers and hosts."""

from __future__ import annotations

import time

from loguru import logger

from ..journal.cost import dollars
from ..journal.stores.base import Store
from .spending import Spent

JUDGED = "judges/"
"""The prefix of the keys of the daily totals; the UTC date follows.

The totals of a day are `cost` in dollars, and the numbers of questions (`asked`), of requests without a known price
(`unpriced`) and of calls that were skipped (`left_out`).
"""


def _today() -> str:
    return f"{JUDGED}{time.strftime('%Y-%m-%d', time.gmtime(time.time()))}"


async def used_up(store: Store, limit: float, *, call: str) -> bool:
    """Return whether judging has cost `limit` dollars or more today.

    If so, add 1 to the number of phone calls that judging skips today, and log a warning for the first of them.
    `call` is an anonymous id of the call: if a job is retried, its call is counted only once.
    """
    today = _today()
    cost = (await store.totals(today)).get(today, {}).get("cost", 0.0)
    if cost < limit:
        return False
    if (await store.add_totals(today, {"left_out": 1}, request_id=f"{today}/{call}"))["left_out"] == 1:
        logger.warning(
            "No more calls are judged today: the judges have cost {}, and LAYERCODE_JUDGE_MAX_COST is {}.",
            dollars(cost),
            dollars(limit),
        )
    return True


async def add(store: Store, spent: Spent) -> None:
    """Add the cost of one question to today's total."""
    await store.add_totals(_today(), {"cost": spent.amount, "asked": 1, "unpriced": spent.unpriced})
