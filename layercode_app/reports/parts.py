"""Tally the timed parts of turns (tools and stages): runs, durations, failures and costs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..journal.cost import Cost
from ..journal.record import Json, Stage, ToolCall
from .figures import counted_percentiles
from .many import Values
from .tally import rounded


@dataclass
class PartTally:
    """The tally of one tool or stage; times in milliseconds."""

    key: str
    times: int = 0
    """The number of runs, however they ended."""
    failed: int = 0
    cancelled: int = 0
    milliseconds: Values = field(default_factory=Values)
    requests: int = 0
    cost: Cost = field(default_factory=Cost)

    def time(self, part: ToolCall | Stage) -> None:
        """Count one run and its duration."""
        self.times += 1
        self.failed += part.status == "failed"
        self.cancelled += part.status == "cancelled"
        if part.ended_ms is not None:
            self.milliseconds.append(part.ended_ms - part.started_ms)

    def json_of(self, times: str, **tokens: int) -> Json:
        """Return the tally as JSON; `times` is the key for the number of runs."""
        return {
            "key": self.key,
            times: self.times,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "latency_ms": counted_percentiles(self.milliseconds),
            "requests": self.requests,
            **tokens,
            "cost": rounded(self.cost),
            "unknown_cost_requests": self.cost.unknown,
        }
