"""Total the usage by day, agent and model. Totals contain no content and no ids, so they may outlive their turns."""

from __future__ import annotations

from collections.abc import Mapping

from ..journal.cost import cost_of
from ..journal.model_usage import Share
from ..journal.record import Kind, Status, TurnRecord
from ..journal.stores.base import Store
from .figures import TOKENS, day_of, interrupted

PREFIX = "usage/"


def totals_of(record: TurnRecord) -> dict[str, dict[str, float]]:
    """Return the amounts that a turn adds to the totals, by the key of the total.

    There is one total for each day, agent and model. The turn is counted for the model that answered. Its tokens and
    cost are counted for each model that used them.
    """
    totals = {_key(record, record.model): _counts(record)}
    if record.usage or record.cost:
        for share in record.shares:
            total = totals.setdefault(_key(record, share.model), {})
            for name, amount in _spent(share).items():
                total[name] = total.get(name, 0.0) + amount
    return {key: amounts for key, amounts in totals.items() if amounts}


def interruption_of(record: TurnRecord) -> dict[str, dict[str, float]]:
    """Return the amounts to add to the totals if a turn was counted as complete, but was in fact interrupted."""
    return {_key(record, record.model): {"interrupted": 1.0}}


def add_to_day(days: dict[str, dict[str, float]], totals: Mapping[str, Mapping[str, float]]) -> None:
    """Add totals to the sums of their days. `totals` has keys as in the result of `totals_of`."""
    for key, amounts in totals.items():
        day = days.setdefault(key.removeprefix(PREFIX).split("/", 1)[0], {})
        for name, amount in amounts.items():
            day[name] = day.get(name, 0.0) + amount


def _key(record: TurnRecord, model: str) -> str:
    """Return the key of a total. The model is last, because its name may contain slashes."""
    return f"{PREFIX}{day_of(record)}/{record.agent}/{model}"


def _counts(record: TurnRecord) -> dict[str, float]:
    amounts = {} if record.kind is Kind.DATA else _ended(record)
    if record.tools:
        amounts["tool_calls"] = float(len(record.tools))
    return amounts


def _ended(record: TurnRecord) -> dict[str, float]:
    amounts = {"turns": 1.0}
    if record.status is Status.FAILED:
        amounts["failed"] = 1.0
    elif interrupted(record):
        amounts["interrupted"] = 1.0
    return amounts


def _spent(share: Share) -> dict[str, float]:
    cost = cost_of(share)
    spent = {"cost": cost.amount, "unknown_cost_requests": cost.unknown}
    spent |= {name: share.usage.get(name, 0) for name in ("requests", *TOKENS)}
    return {name: float(amount) for name, amount in spent.items() if amount}


async def totals_by_day(store: Store, prefix: str = "") -> dict[str, dict[str, float]]:
    """Return the totals of each day over all agents and models. `prefix` selects days, such as `2026-01`."""
    days: dict[str, dict[str, float]] = {}
    add_to_day(days, await store.totals(PREFIX + prefix))
    return days
