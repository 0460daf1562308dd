"""The complete result of `bench`, for JSON, tables and the page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .load import Load
from .measured import Series, ratios

BUSY = 0.85
"""Above this CPU share the load generator is the bottleneck."""


@dataclass(frozen=True)
class Result:
    """The load, and the measurements of each webhook."""

    load: Load
    arrivals: str
    rounds: int
    series: Sequence[Series]

    @property
    def errors(self) -> Counter[str]:
        """How often each error occurred, for all webhooks together."""
        return sum((one.errors for one in self.series), Counter())

    @property
    def compared(self) -> bool:
        """Whether the result compares several webhooks."""
        return len({one.target for one in self.series}) > 1

    def label(self, one: Series) -> str:
        """Return the label of a series: its webhook.

        If both kinds of arrivals were measured, the label also contains the kind of this series: spread or together.
        """
        return f"{one.target}, {one.arrivals}" if self.arrivals == "both" else one.target

    def notes(self) -> list[str]:
        """Return the caveats that a reader of the figures must know."""
        found = []
        if any(one.caller_cpu > BUSY * one.seconds for series in self.series for one in series.rounds if one.seconds):
            found.append(
                f"The load generator used more than {BUSY:.0%} of a processor, so the measured times include its own "
                "delays. Use fewer callers, or a longer pause between turns (--think)."
            )
        unmeasured = [one.target for one in self.series if any(measured.server is None for measured in one.rounds)]
        if unmeasured:
            found.append(
                f"CPU and memory of {', '.join(dict.fromkeys(unmeasured))} were not measured: the processes run on another "
                "machine or belong to another user."
            )
        if len(
            {len(measured.total) for series in self.series for measured in series.rounds if len(measured.total) < 100}
        ):
            found.append(
                "Some rounds have fewer than 100 complete turns, so their p99 lies between their two slowest turns."
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {
            "load": self.load.to_json() | {"arrivals": self.arrivals, "rounds": self.rounds},
            "targets": [one.to_json() for one in self.series],
            "ratios": ratios(self.series),
            "cpus": os.cpu_count(),
            "notes": self.notes(),
        }
