"""Collect the measurements round by round, and compute their medians."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from .catalogue import Peer

Round = dict[str, float]


@dataclass
class Result:
    """All results of one peer. A measure that failed has no figures; `failed` has the reason."""

    peer: Peer
    versions: dict[str, str] = field(default_factory=dict)
    not_run: str = ""
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    checks: dict[str, Any] = field(default_factory=dict)

    def add(self, measure: str, figures: Round) -> None:
        """Add the figures of one round."""
        self.rounds.setdefault(measure, []).append(figures)

    def fail(self, measure: str, reason: str) -> None:
        """Record why this measure has no figures. Only the first reason is kept."""
        self.failed.setdefault(measure, reason)

    def median(self, measure: str, figure: str) -> float | None:
        """Return the median over the rounds; None if the figure was not measured or the measure failed."""
        rounds = self.rounds.get(measure, [])
        if self.not_run or measure in self.failed or not rounds:
            return None
        return statistics.median(figures[figure] for figures in rounds)

    def ratio(self, other: Result, measure: str, figure: str) -> float | None:
        """Divide the figure by the other peer's figure in each round, and return the median of these ratios.

        Noise in a round affects both peers alike, and so hardly changes the ratio.
        """
        if self.median(measure, figure) is None or other.median(measure, figure) is None:
            return None
        pairs = zip(self.rounds[measure], other.rounds[measure], strict=False)
        return statistics.median(own[figure] / max(its[figure], 1e-9) for own, its in pairs)

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON."""
        names = {measure: list(rounds[0]) for measure, rounds in self.rounds.items()}
        return {
            "title": self.peer.title,
            "versions": self.versions,
            "not_run": self.not_run or None,
            "failed": self.failed,
            "medians": {m: {name: self.median(m, name) for name in figures} for m, figures in names.items()},
            "rounds": self.rounds,
            "checks": self.checks or None,
        }
