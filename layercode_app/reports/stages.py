"""The agents' own stages in a report: how often, how long, how well, and what the models in them used."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..conversation.cost import Cost, cost_of
from ..conversation.record import Json, Stage, TurnRecord
from .figures import percentiles
from .tally import rounded


@dataclass
class StageTally:
    """What is counted of one stage. A stage inside another counts in both."""

    key: str
    runs: int = 0
    failed: int = 0
    cancelled: int = 0
    milliseconds: list[float] = field(default_factory=list)
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Cost = field(default_factory=Cost)

    def add(self, stage: Stage) -> None:
        """Count one run of the stage."""
        self.runs += 1
        self.failed += stage.status == "failed"
        self.cancelled += stage.status == "cancelled"
        if stage.ended_ms is not None:
            self.milliseconds.append(stage.ended_ms - stage.started_ms)
        self.requests += stage.usage.get("requests", 0)
        self.input_tokens += stage.usage.get("input_tokens", 0)
        self.output_tokens += stage.usage.get("output_tokens", 0)
        self.cost += cost_of(stage)

    def as_json(self) -> Json:
        """The stage for a program."""
        return {
            "key": self.key,
            "runs": self.runs,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "latency_ms": percentiles(self.milliseconds),
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": rounded(self.cost),
            "unknown_cost_requests": self.cost.unknown,
        }


class Stages:
    """The stages of many turns, by agent and name."""

    def __init__(self) -> None:
        self._by_name: dict[str, StageTally] = {}

    def add(self, record: TurnRecord) -> None:
        """Count the stages of a turn."""
        for stage in record.stages:
            key = f"{record.agent}: {stage.name}"
            self._by_name.setdefault(key, StageTally(key)).add(stage)

    def tallies(self) -> list[StageTally]:
        """Those that took the most time first."""
        return sorted(self._by_name.values(), key=lambda tally: (-sum(tally.milliseconds), tally.key))
