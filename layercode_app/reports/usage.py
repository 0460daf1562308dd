"""Usage totals by day, agent and model: no content, no ids, so they may outlive the turns they were counted from."""

from __future__ import annotations

from ..conversation.cost import cost_of
from ..conversation.record import Status, TurnRecord
from ..conversation.stores.base import Store
from .figures import TOKENS, day_of, interrupted

PREFIX = "usage/"


def key_of(record: TurnRecord) -> str:
    """Where the usage of a turn is counted; a model's name may hold slashes, so it is last."""
    return f"{PREFIX}{day_of(record)}/{record.agent}/{record.model}"


def amounts_of(record: TurnRecord) -> dict[str, float]:
    """What a turn adds to the totals; what is zero is left out."""
    amounts = {"turns": 1.0}
    if record.status is Status.FAILED:
        amounts["failed"] = 1.0
    elif interrupted(record):
        amounts["interrupted"] = 1.0
    if record.tools:
        amounts["tool_calls"] = float(len(record.tools))
    if record.usage or record.cost:
        amounts |= _spent(record)
    return amounts


def _spent(record: TurnRecord) -> dict[str, float]:
    cost = cost_of(record)
    spent = {"cost": cost.amount, "unknown_cost_requests": cost.unknown}
    spent |= {name: record.usage.get(name, 0) for name in ("requests", *TOKENS)}
    return {name: float(amount) for name, amount in spent.items() if amount}


async def totals_by_day(store: Store, prefix: str = "") -> dict[str, dict[str, float]]:
    """The totals of each day that begins with `prefix`, over all agents and models."""
    days: dict[str, dict[str, float]] = {}
    for key, amounts in (await store.totals(PREFIX + prefix)).items():
        total = days.setdefault(key.removeprefix(PREFIX).split("/", 1)[0], {})
        for name, amount in amounts.items():
            total[name] = total.get(name, 0.0) + amount
    return days
