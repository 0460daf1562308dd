"""The usage and cost of each model in a turn: the turn's requests, summed by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .cost import Priced

UNMETERED = "(unmetered)"
"""The name under which usage is listed if its model is unknown.

Such usage comes from helper agents that do not use `turn.helper_model()`, but add their usage to the run of the agent.
"""
LEAST_DOLLARS = 1e-9
"""Cost differences below this are ignored, because sums of floats have rounding errors."""


class Shared(Priced, Protocol):
    """A turn as `shares_of` needs it: with the model, the usage, the cost and the requests."""

    @property
    def requests(self) -> Sequence[Priced]:
        """The model requests of the turn."""


@dataclass(slots=True)
class Share:
    """The tokens and the cost of one model in one turn; see `cost_of`."""

    model: str
    usage: dict[str, int] = field(default_factory=dict)
    cost: float | None = None

    def add(self, usage: Mapping[str, int], cost: float | None) -> None:
        """Add the usage and the cost of one request."""
        add_usage(self, usage, cost)


class Total(Protocol):
    """An object to which usage can be added: a turn, a stage, a request or a `Share`."""

    usage: dict[str, int]
    cost: float | None


def add_usage(total: Total, usage: Mapping[str, int], cost: float | None) -> None:
    """Add usage, and a cost in dollars if it is known, to the usage and the cost of `total`."""
    for name, amount in usage.items():
        total.usage[name] = total.usage.get(name, 0) + amount
    if cost is not None:
        total.cost = (total.cost or 0.0) + cost


def shares_of(turn: Shared) -> list[Share]:
    """Sum the requests of a turn by model, in the order the models were first called.

    A record of an older version has no list of requests, so its only model gets all usage.
    """
    if not turn.requests:
        return [Share(turn.model, dict(turn.usage), turn.cost)] if turn.usage or turn.cost is not None else []
    shares: dict[str, Share] = {}
    for call in turn.requests:
        shares.setdefault(call.model, Share(call.model)).add(call.usage, call.cost)
    if (rest := _rest(turn, list(shares.values()))) is not None:
        shares.setdefault(rest.model, Share(rest.model)).add(rest.usage, rest.cost)
    return list(shares.values())


def _rest(turn: Shared, shares: Sequence[Share]) -> Share | None:
    """Return the part of the turn's usage and cost that its requests do not account for, or None."""
    usage = {
        name: amount - sum(share.usage.get(name, 0) for share in shares)
        for name, amount in turn.usage.items()
        if name != "tool_calls"
    }
    left = {name: amount for name, amount in usage.items() if amount > 0}
    cost = (turn.cost or 0.0) - sum(share.cost or 0.0 for share in shares)
    if not left.keys() & {"input_tokens", "output_tokens"} and cost < LEAST_DOLLARS:
        return None
    return Share(UNMETERED, left | {"unpriced_requests": left.get("unpriced_requests", 0)}, max(cost, 0.0) or None)
