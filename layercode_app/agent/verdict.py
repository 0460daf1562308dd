"""Let a model judge what was just said, before the agent answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from ..conversation.turn import Turn
from ..journal.cost import FREE_MODEL

if TYPE_CHECKING:
    from pydantic_ai.models import Model

V = TypeVar("V", bound=BaseModel)

VERDICT_SECONDS = 5.0
"""The timeout of a model's verdict. When it expires, the call goes on without the verdict."""


async def verdict_on(
    turn: Turn[Any, Any], model: Model | str | None, kind: type[V], question: str, *, name: str, failed: str
) -> V | None:
    """Return the model's answer to a question about the turn's text, as an object of the type `kind`.

    Return None without a model, with the offline model, or if the model fails or times out. A failure is logged with
    the message `failed`, whose placeholder gets the type of the error. `name` is the name of the model's agent in spans.
    """
    from pydantic_ai import Agent

    chosen = turn.helper_model(model)
    if chosen is None or chosen.model_name == FREE_MODEL:
        return None
    judge = Agent(chosen, output_type=kind, instructions=question, name=name)
    try:
        async with asyncio.timeout(VERDICT_SECONDS):
            return (await judge.run(turn.text)).output
    except Exception as error:  # noqa: BLE001 - an outage of the judging model must not end every call
        turn.log.warning(failed, type(error).__name__)
        return None
