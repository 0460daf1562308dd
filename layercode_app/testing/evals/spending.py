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
def counting() -> Iterator[Spent]:
    """Count the spending of a block."""
    spent = Spent()
    token = _spent.set(spent)
    try:
        yield spent
    finally:
        _spent.reset(token)


def spend(messages: Iterable[Any]) -> None:
    """Add the cost of the model's responses among these messages."""
    from pydantic_ai.messages import ModelResponse

    spent = _spent.get()
    for message in messages if spent is not None else ():
        if isinstance(message, ModelResponse) and spent is not None:
            price = price_of(message)
            spent.amount += price or 0.0
            spent.unpriced += price is None
