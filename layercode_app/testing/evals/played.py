"""The result of one run of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .scenario import Scenario


@dataclass(frozen=True)
class Play:
    """One run to play: a scenario with one model."""

    agent: str
    scenario: Scenario
    model: str | None
    number: int
    judges: Mapping[str, str] = field(default_factory=dict)
    """The questions about the whole call, by name."""


@dataclass
class Played:
    """The result of one run: failed checks, verdicts of the judges, and the conversation."""

    scenario: str
    model: str
    number: int
    labels: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Why a judge gave no verdict or the caller's model no answer, which is no fault of the agent."""
    seconds: float = 0.0
    verdicts: list[dict[str, str]] = field(default_factory=list)
    transcript: str = ""
    ttfs_ms: list[float] = field(default_factory=list)
    agent: str = ""
    turns: int = 0
    """How many times the caller spoke."""
    cost: float | None = 0.0
    """Dollars of the agent's models; None if no part of it is known."""
    helper_cost: float = 0.0
    """Known dollars of the models that played the caller and the judges."""
    unpriced: int = 0
    """Requests to models whose price is not known; the costs leave them out."""
    interruptions: int = 0
    """Replies that the caller spoke over."""
    hung_up: str = ""
    """Who ended a simulated call: `caller`, `goal reached`, `agent` or `max_turns`."""
    behaviours: list[dict[str, Any]] = field(default_factory=list)
    """What a simulated caller meant to say in each turn, and how they behaved."""
    notes: list[str] = field(default_factory=list)
    """What explains a failure of a simulated call, but is none by itself."""

    @property
    def passed(self) -> bool:
        """Whether no check failed, the judges answered, and no verdict is no. A failed check overrides the judges."""
        return not self.failures and not self.errors and not any(verdict["answer"] == "no" for verdict in self.verdicts)

    @property
    def reasons(self) -> list[str]:
        """The reasons why it did not pass, and what explains them."""
        said = [f"the judge says no to {v['question']!r}: {v['reason']}" for v in self.verdicts if v["answer"] == "no"]
        return [*self.errors, *self.failures, *said, *([] if self.passed else self.notes)]

    @property
    def spent(self) -> float:
        """Known dollars of all models of this run."""
        return (self.cost or 0.0) + self.helper_cost

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {**vars(self), "passed": self.passed, "reasons": self.reasons}


def from_json(told: dict[str, Any]) -> Played:
    """Return a run that `to_json` wrote."""
    known = {each.name for each in fields(Played)}
    return Played(**{name: value for name, value in told.items() if name in known})
