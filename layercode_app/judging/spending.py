"""Call the models of simulated callers and judges, and count their cost separately from the agent's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..journal.cost import price_of

if TYPE_CHECKING:
    from pydantic_ai import Agent

OutputT = TypeVar("OutputT")


@dataclass
class Spent:
    """The cost in dollars (`amount`), and the number of requests whose price is not known (`unpriced`)."""

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


async def answer_of(
    agent: Agent[None, OutputT], prompt: str, *, seconds: float, who: str, error: type[Exception]
) -> OutputT:
    """Run an agent and count its cost. Raises `error`, which names `who`, if the run fails or exceeds `seconds`."""
    from pydantic_ai import capture_run_messages
    from pydantic_ai.exceptions import AgentRunError

    with capture_run_messages() as messages:
        try:
            async with asyncio.timeout(seconds), agent:
                return (await agent.run(prompt)).output
        except TimeoutError as late:
            raise error(f"{who} did not answer within {seconds:g} s") from late
        except AgentRunError as failed:
            raise error(f"{who} did not answer: {failed}") from failed
        finally:
            # Answers that were not usable cost money too.
            _spend(messages)


def _spend(messages: Iterable[Any]) -> None:
    """Add the cost of the model responses in these messages to the `Spent` of the current `counting` block."""
    from pydantic_ai.messages import ModelResponse

    spent = _spent.get()
    if spent is None:
        return
    for message in messages:
        if isinstance(message, ModelResponse):
            price = price_of(message)
            spent.amount += price or 0.0
            spent.unpriced += price is None
