"""Callers in an evaluation: a script of turns, or any object that chooses its words depending on the replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from ..turn import HeardTurn
from .scenario import Scenario, Step
from .simulated.caller_spec import MOST_TURNS as MOST_TURNS


class Caller(Protocol):
    """The caller's side of one conversation. `ScriptedCaller` and `SimulatedCaller` implement this protocol."""

    async def next(self, heard: Sequence[HeardTurn]) -> Step | None:
        """Return the caller's next step, given the conversation so far; None hangs up.

        `Step(say=...)` says something; `Step()` connects and hears the greeting. A step may also hold an expectation of
        the reply, a question for the judge, and an interruption.
        """


class ScriptedCaller:
    """A caller who says a scenario's turns in order, regardless of the replies."""

    def __init__(self, scenario: Scenario) -> None:
        self._steps = iter(scenario.turns)

    async def next(self, heard: Sequence[HeardTurn]) -> Step | None:
        """Return the scenario's next turn."""
        return next(self._steps, None)


MakeCaller: TypeAlias = Callable[[Scenario], Caller]
"""Returns a new caller for a run of a scenario."""
