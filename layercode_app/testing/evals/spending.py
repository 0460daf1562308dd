"""Count what the models that play callers and judges cost, apart from the agent's models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ...journal.cost import price_of


@dataclass
class Spent:
    """Dollars; requests to models without a known price are counted apart."""

    amount: float = 0.0
    unpriced: int = 0


_spent: ContextVar[Spent | None] = ContextVar("spent", default=None)


@contextmanager
def counting(spent: Spent) -> Iterator[None]:
    """Add the spending of a block to `spent`."""
    token = _spent.set(spent)
    try:
        yield
    finally:
        _spent.reset(token)


def spend(messages: Iterable[Any]) -> None:
    """Add the cost of the model's responses among these messages."""
    from pydantic_ai.messages import ModelResponse

    spent = _spent.get()
    if spent is None:
        return
    for message in messages:
        if isinstance(message, ModelResponse):
            price = price_of(message)
            spent.amount += price or 0.0
            spent.unpriced += price is None
