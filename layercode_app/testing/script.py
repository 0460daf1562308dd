"""A model that answers from a list: one entry for each request that the agent makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..agent.offline import Call, Scene, offline_model

if TYPE_CHECKING:
    from pydantic_ai.models.function import FunctionModel

Answer: TypeAlias = "str | Call | Sequence[str | Call]"
"""What the model answers to one request: words, a tool call, or several of both."""


class ScriptedModelError(AssertionError):
    """The agent asked the scripted model more often than it has answers."""


def scripted(*answers: Answer) -> FunctionModel:
    """A model that gives these answers in turn, through PydanticAI's real machinery; tools really run.

    A turn that asks for more than there is fails, and `call.say` raises ScriptedModelError.
    """
    waiting = list(answers)

    async def play(scene: Scene) -> AsyncIterator[str | Call]:
        if not waiting:
            raise ScriptedModelError(
                f"The scripted model has {len(answers)} answers and was asked once more, after the caller said "
                f"{scene.text!r} and tools returned {scene.results}. Add an answer to scripted(...)."
            )
        answer = waiting.pop(0)
        for piece in [answer] if isinstance(answer, str | Call) else answer:
            yield piece

    return offline_model(play, pace=0.0)
