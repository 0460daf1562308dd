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
    """The questions to the judges about the whole call, by name."""


@dataclass
class Played:
    """The result of one run: failed checks, verdicts of the judges, and the conversation."""

    scenario: str
    model: str
    number: int
    labels: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Why a judge or the caller gave no answer, or why the run was not played. The agent did not cause these errors."""
    seconds: float = 0.0
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    """The judges' answers. The answer to a question about one turn has the turn's number under `turn`."""
    transcript: str = ""
    ttfs_ms: list[float] = field(default_factory=list)
    agent: str = ""
    turns: int = 0
    """The number of the caller's messages, without listening sounds and silence."""
    cost: float | None = 0.0
    """Dollars for the agent's models; None if no part of the cost is known."""
    helper_cost: float = 0.0
    """Known dollars for the models that played the caller and the judges."""
    unpriced: int = 0
    """The number of requests to models without a known price; the costs do not include them."""
    interruptions: int = 0
    """The number of replies that the caller interrupted."""
    hung_up: str = ""
    """How a simulated call ended: `caller`, `goal reached`, `agent` or `max_turns`. Empty for all other calls."""
    behaviours: list[dict[str, Any]] = field(default_factory=list)
    """For each turn of a simulated caller: what they meant to say, and how they behaved."""
    notes: list[str] = field(default_factory=list)
    """Facts that explain a failed simulated call, but are no failures themselves."""
    conversation: list[dict[str, Any]] = field(default_factory=list)
    """The turns with their words, tools and waterfalls, as `told_turn` returns them."""
    broke_at: int = 0
    """The turn in which the run broke off with its last failure or error; 0 if it did not break off."""

    @property
    def passed(self) -> bool:
        """Whether the run has no failed check, no error and no verdict "no". A failed check overrides the judges."""
        return not self.failures and not self.errors and not any(verdict["answer"] == "no" for verdict in self.verdicts)

    @property
    def reasons(self) -> list[str]:
        """The reasons why the run did not pass, followed by the notes that explain them."""
        said = [self.says_no(verdict) for verdict in self.verdicts if verdict["answer"] == "no"]
        return [*self.errors, *self.failures, *said, *([] if self.passed else self.notes)]

    @staticmethod
    def says_no(verdict: dict[str, Any]) -> str:
        """Return the sentence that reports a judge's verdict "no"."""
        return f"the judge says no to {verdict['question']!r}: {verdict['reason']}"

    @property
    def spent(self) -> float:
        """Known dollars for all models in this run."""
        return (self.cost or 0.0) + self.helper_cost

    def to_json(self, *, whole: bool = False) -> dict[str, Any]:
        """Return a dictionary for JSON. Without `whole`, it has the transcript, but not the turns' tools and times."""
        told = {**vars(self), "passed": self.passed, "reasons": self.reasons}
        return told if whole else {name: value for name, value in told.items() if name != "conversation"}


def from_json(told: dict[str, Any]) -> Played:
    """Return a run that `to_json` wrote."""
    known = {each.name for each in fields(Played)}
    return Played(**{name: value for name, value in told.items() if name in known})
