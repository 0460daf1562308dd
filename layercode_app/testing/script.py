"""A model that answers from a list, one entry per request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..agent.offline import Call, Scene, offline_model

if TYPE_CHECKING:
    from pydantic_ai.models.function import FunctionModel

Answer: TypeAlias = "str | Call | Sequence[str | Call]"
"""The model's answer to one request: words, a tool call, or a sequence of both."""


class ScriptedModelError(AssertionError):
    """The agent sent the scripted model more requests than it has answers."""


def scripted(*answers: Answer) -> FunctionModel:
    """Return a model that gives these answers in order.

    PydanticAI handles the answers like those of a real model, so a tool call really runs the tool. If a turn needs more
    answers than are left, the turn fails and `call.say` raises ScriptedModelError.
    """
    waiting = list(answers)

    async def play(scene: Scene) -> AsyncIterator[str | Call]:
        if not waiting:
            raise ScriptedModelError(
                f"The scripted model has {len(answers)} answers and was called once more, after the caller said "
                f"{scene.text!r} and tools returned {scene.results}. Add an answer to scripted(...)."
            )
        answer = waiting.pop(0)
        for piece in [answer] if isinstance(answer, str | Call) else answer:
            yield piece

    return offline_model(play, pace=0.0)
