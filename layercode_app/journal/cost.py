"""The cost of turns and stages, computed alike for all pages and reports. An unknown cost is never shown as zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

FREE_MODEL = "offline"
"""The scripted model; it costs nothing."""
DATA_COSTS = "layercode.data_costs"
"""The key in a conversation's state that is set once a data event has used a model.

The history contains no data events, so their cost must then be read separately from the journal.
"""


class Priced(Protocol):
    """A turn or a stage, with the usage and cost of its model requests."""

    @property
    def model(self) -> str:
        """The model that answered."""

    @property
    def usage(self) -> Mapping[str, int]:
        """The counts of tokens and requests, by name."""

    @property
    def cost(self) -> float | None:
        """The known part of the cost in dollars; None if no part is known."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost in dollars. `unknown` counts the requests without a price; unless it is 0, `amount` is a lower bound."""

    amount: float = 0.0
    unknown: int = 0

    @property
    def known(self) -> float | None:
        """The amount in dollars; None if no part of it is known."""
        return None if self.unknown and not self.amount else self.amount

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.amount + other.amount, self.unknown + other.unknown)

    def __str__(self) -> str:
        if not self.unknown:
            return dollars(self.amount)
        return f"at least {dollars(self.amount)}" if self.amount else "unknown"


def dollars(amount: float) -> str:
    """Format an amount in dollars; small amounts get more digits."""
    if not amount:
        return "$0"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}" if amount >= 0.0001 else f"${amount:.7f}"


def cost_of(priced: Priced) -> Cost:
    """Return the cost of a turn or stage.

    Requests without a known price count as unknown, and so do requests that were cut off before they reported tokens.
    """
    usage = priced.usage
    if priced.model == FREE_MODEL or not (usage.get("requests") or usage.get("unknown_requests")):
        return Cost(priced.cost or 0.0)
    unpriced = usage.get("unpriced_requests")
    if unpriced is None:
        unpriced = usage.get("requests", 0) if priced.cost is None else 0
    return Cost(priced.cost or 0.0, unpriced + usage.get("unknown_requests", 0))


def price_of(response: ModelResponse) -> float | None:
    """Return the price of one response in dollars; None if it is not known."""
    if response.model_name == FREE_MODEL:
        return 0.0
    return None if response.usage.cost is None else float(response.usage.cost)
