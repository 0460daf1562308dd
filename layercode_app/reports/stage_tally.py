"""Tally the agents' own stages for a report: runs, durations, failures, and model usage."""

from __future__ import annotations

from dataclasses import dataclass

from ..journal.cost import cost_of
from ..journal.record import Json, Stage, TurnRecord
from .parts import PartTally


@dataclass
class StageTally(PartTally):
    """The tally of one stage. The usage of a nested stage counts for the outer stage too."""

    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, stage: Stage) -> None:
        """Count one run of the stage."""
        self.time(stage)
        self.requests += stage.usage.get("requests", 0)
        self.input_tokens += stage.usage.get("input_tokens", 0)
        self.output_tokens += stage.usage.get("output_tokens", 0)
        self.cost += cost_of(stage)

    def as_json(self) -> Json:
        """Return the tally as JSON."""
        return self.json_of("runs", input_tokens=self.input_tokens, output_tokens=self.output_tokens)


class Stages:
    """The stage tallies of many turns, by agent and stage name."""

    def __init__(self) -> None:
        self._by_name: dict[str, StageTally] = {}

    def add(self, record: TurnRecord) -> None:
        """Count the stages of a turn."""
        for stage in record.stages:
            key = f"{record.agent}: {stage.name}"
            self._by_name.setdefault(key, StageTally(key)).add(stage)

    def tallies(self) -> list[StageTally]:
        """Return the tallies, longest total time first."""
        return sorted(self._by_name.values(), key=lambda tally: (-tally.milliseconds.total, tally.key))
