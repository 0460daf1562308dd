"""The kinds of interruptions that `eval --interruptions matrix` plays, each at a certain point of a reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ....exceptions import ConfigurationError
from ..scenario import Scenario, ScenarioFile, Step
from .caller_spec import Behaviour, BreaksIn, CallerSpec

SEPARATOR: Final = " / "
"""Separates the two parts of a scenario's name in the matrix: the scenario and the kind of interruption."""


@dataclass(frozen=True)
class Drill:
    """One kind of interruption."""

    after: int | None = None
    """The number of words of the reply that the caller hears; None if a tool decides (`in_tool`)."""
    in_tool: bool = False
    playing: bool = False
    times: int = 1
    sound: str | None = None

    def step(self, say: str) -> Step:
        """Return the step that says `say` and interrupts the reply to it."""
        cut = {"interrupt": self.after, "in_tool": self.in_tool, "playing": self.playing}
        return Step.model_validate({"say": say, "must_interrupt": False, **cut})


DRILLS: Final[dict[BreaksIn, Drill]] = {
    "before the first word": Drill(after=0),
    "after three words": Drill(after=3),
    "within a tool": Drill(in_tool=True),
    "while it is still played": Drill(after=3, playing=True),
    "twice in a row": Drill(after=3, times=2),
    "with a listening sound": Drill(after=3, playing=True, sound="mhm"),
}


def drilled_line(spec: CallerSpec, run: int) -> int:
    """Return the number of the first line whose reply is interrupted: line 1 in run 1, line 2 in run 2, and so on.

    The last line is excluded, because a caller who interrupts needs another line to say.
    """
    lines = len(spec.script) if isinstance(spec.script, list) else 4
    return (run - 1) % max(1, lines - 1) + 1


def matrix(file: ScenarioFile) -> ScenarioFile:
    """Return a file with one copy of each simulated scenario for each kind of interruption.

    Raises ConfigurationError if no scenario is simulated.
    """
    simulated = [scenario for scenario in file.scenarios if scenario.caller]
    if not simulated:
        raise ConfigurationError(
            f"--interruptions matrix: no scenario of agent {file.agent!r} has a `caller`; expected at least one."
        )
    return ScenarioFile(agent=file.agent, scenarios=[_drilled(one, kind) for one in simulated for kind in DRILLS])


def _drilled(scenario: Scenario, kind: BreaksIn) -> Scenario:
    changed = {"breaks_in": kind, "behaviour": Behaviour()}
    caller = scenario.caller.model_copy(update=changed) if scenario.caller else None
    return scenario.model_copy(update={"name": f"{scenario.name}{SEPARATOR}{kind}", "caller": caller})
