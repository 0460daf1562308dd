"""Measurements: one round on one webhook, a series of rounds, and the ratios between webhooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ...percentiles import PERCENTILES, percentile, percentiles
from .connection import Heard
from .hedges import Hedged
from .load import Arrivals
from .usage import Used

SILENT = "nothing was said"
"""The error for a turn that ends normally but without speech. The caller waited for speech, so the turn failed."""
Figure = Callable[["Measured"], float | None]
FIGURES: dict[str, Figure] = {
    "turns_per_second": lambda m: m.per_second,
    **{f"ttfs_ms.p{p}": (lambda m, p=p: percentile(m.ttfs, p)) for p in PERCENTILES},  # type: ignore[misc]
    **{f"total_ms.p{p}": (lambda m, p=p: percentile(m.total, p)) for p in PERCENTILES},  # type: ignore[misc]
    "cpu_ms_per_turn": lambda m: m.cpu_ms_per_turn,
    "rss_mb_peak": lambda m: m.server.peak_mb if m.server else None,
}
"""The figures that are compared, by name. Each function computes a figure of one round."""


@dataclass(frozen=True)
class Sample:
    """One completed turn. `at` is its start in seconds since the round began; `ttfs` and `total` are milliseconds."""

    turn: int
    """The turn's number in its conversation, from 0."""
    at: float
    ttfs: float | None
    total: float
    turn_id: str = ""


@dataclass
class Measured:
    """One round on one webhook. Interrupted turns are counted but have no times."""

    url: str
    samples: list[Sample] = field(default_factory=list)
    frames: int = 0
    interrupted: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    caller_cpu: float = 0.0
    """CPU seconds used by the load generator."""
    server: Used | None = None
    hedged: Hedged = field(default_factory=Hedged)

    def add(self, heard: Heard, *, turn: int, at: float, turn_id: str) -> None:
        """Record a turn as a sample, an interruption or an error."""
        self.frames += heard.frames
        if heard.error:
            self.errors[heard.error] += 1
        elif heard.total is None:
            self.interrupted += 1
        elif heard.ttfs is None:
            self.errors[SILENT] += 1
        else:
            self.samples.append(Sample(turn, at, heard.ttfs, heard.total, turn_id))

    def discard(self, error_of: Callable[[Sample], str]) -> None:
        """Discard each sample for which `error_of` returns an error, and count that error."""
        found = [(sample, error_of(sample)) for sample in self.samples]
        self.errors.update(error for _, error in found if error)
        self.samples = [sample for sample, error in found if not error]

    @property
    def ttfs(self) -> list[float]:
        """Time to first speech of each turn, in milliseconds."""
        return [sample.ttfs for sample in self.samples if sample.ttfs is not None]

    @property
    def total(self) -> list[float]:
        """Duration of each turn, in milliseconds."""
        return [sample.total for sample in self.samples]

    @property
    def turns(self) -> int:
        """The number of answered turns, including interrupted turns."""
        return len(self.samples) + self.interrupted

    @property
    def per_second(self) -> float:
        """Answered turns per second."""
        return self.turns / self.seconds if self.seconds else 0.0

    @property
    def cpu_ms_per_turn(self) -> float | None:
        """CPU milliseconds of the server per answered turn; None if not measured, or if no turn was answered."""
        return self.server.cpu_seconds * 1000 / self.turns if self.server and self.turns else None

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {
            "turns": self.turns,
            "turns_per_second": round(self.per_second, 1),
            "frames": self.frames,
            "interrupted": self.interrupted,
            "errors": dict(self.errors),
            "ttfs_ms": percentiles(self.ttfs, digits=2),
            "total_ms": percentiles(self.total, digits=2),
            "seconds": round(self.seconds, 3),
            "server": self.server and self.server.to_json(),
            "hedges": self.hedged.to_json(),
            "caller_cpu_seconds": round(self.caller_cpu, 3),
        }


@dataclass
class Series:
    """All rounds of one webhook with the same kind of arrivals. Each figure is the median over the rounds."""

    target: str
    url: str
    arrivals: Arrivals
    rounds: list[Measured] = field(default_factory=list)

    def figure(self, name: str) -> float | None:
        """Return the median of a figure over the rounds; None if a round lacks it. `name` is a key of FIGURES."""
        values = [FIGURES[name](measured) for measured in self.rounds]
        known = [value for value in values if value is not None]
        return median(known) if known and len(known) == len(values) else None

    @property
    def errors(self) -> Counter[str]:
        """How often each error occurred, over all rounds."""
        return sum((measured.errors for measured in self.rounds), Counter())

    @property
    def turns(self) -> int:
        """The number of answered turns in all rounds."""
        return sum(measured.turns for measured in self.rounds)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form. Counts, seconds and CPU seconds are sums over the rounds. Other figures are medians.

        The memory is given as it was before the first round and after the last one, and as the maximum of all rounds.
        """
        figures = {name: _rounded(self.figure(name)) for name in FIGURES}
        return {
            "target": self.target,
            "url": self.url,
            "arrivals": self.arrivals,
            "turns": self.turns,
            "turns_per_second": figures["turns_per_second"],
            "frames": sum(measured.frames for measured in self.rounds),
            "interrupted": sum(measured.interrupted for measured in self.rounds),
            "errors": dict(self.errors),
            **{times: {f"p{p}": figures[f"{times}.p{p}"] for p in PERCENTILES} for times in ("ttfs_ms", "total_ms")},
            "seconds": round(sum(measured.seconds for measured in self.rounds), 3),
            "server": self._server(),
            "hedges": self._hedges(),
            "rounds": [measured.to_json() for measured in self.rounds],
        }

    def _hedges(self) -> dict[str, Any] | None:
        known = [found for measured in self.rounds if (found := measured.hedged.to_json()) is not None]
        return {name: sum(one[name] for one in known) for name in ("sent", "won")} if known else None

    def _server(self) -> dict[str, Any] | None:
        used = [measured.server for measured in self.rounds if measured.server is not None]
        if not used:
            return None
        return {
            "cpu_seconds": round(sum(one.cpu_seconds for one in used), 3),
            "cpu_ms_per_turn": _rounded(self.figure("cpu_ms_per_turn")),
            "rss_mb_before": used[0].before_mb,
            "rss_mb_peak": max(one.peak_mb for one in used),
            "rss_mb_after": used[-1].after_mb,
            "processes": used[-1].processes,
        }


def ratios(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Compare each series with the first series that has the same kind of arrivals.

    Return an item for each series except the first of each kind. An item has a ratio for each figure. In each round,
    the figure of the series is divided by the figure of the first series. The ratio is the median of these quotients,
    or None if a round has no quotient.
    """
    found = []
    for one in series:
        first = next(other for other in series if other.arrivals == one.arrivals)
        if first is not one:
            values = {name: _rounded(_ratio(one, first, figure)) for name, figure in FIGURES.items()}
            found.append({"target": one.target, "to": first.target, "arrivals": one.arrivals, **values})
    return found


def _ratio(one: Series, other: Series, figure: Figure) -> float | None:
    pairs = [(figure(a), figure(b)) for a, b in zip(one.rounds, other.rounds, strict=True)]
    known = [a / b for a, b in pairs if a is not None and b]
    return median(known) if known and len(known) == len(pairs) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
