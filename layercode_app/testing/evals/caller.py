"""Who calls in an evaluation: a script of turns, or anything that decides its next words by what it has heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from ..turn import HeardTurn
from .scenario import Scenario, Step

MOST_TURNS = 100
"""After so many turns a caller who does not hang up has failed."""


class Caller(Protocol):
    """One side of one conversation. A caller played by a model implements this; `ScriptedCaller` is the simplest."""

    async def next(self, heard: Sequence[HeardTurn]) -> Step | None:
        """What the caller does now, given the conversation so far; None hangs up.

        `Step(say=...)` is said, `Step()` is the connection that the greeting answers. It may carry what is expected of
        the reply, a question for the judge, and where the caller interrupts.
        """


class ScriptedCaller:
    """Says the turns of a scenario one after the other, whatever is answered."""

    def __init__(self, scenario: Scenario) -> None:
        self._steps = iter(scenario.turns)

    async def next(self, heard: Sequence[HeardTurn]) -> Step | None:
        """The scenario's next turn."""
        return next(self._steps, None)


MakeCaller: TypeAlias = Callable[[Scenario], Caller]
"""Makes the caller of each conversation."""
