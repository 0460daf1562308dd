"""What was measured: one round on one webhook, several rounds of it, and one webhook against another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .connection import Heard
from .load import Arrivals
from .usage import Used

PERCENTILES = (50, 90, 95, 99)
SILENT = "nothing was said"
"""A turn that ends well and has no speech is an error to the caller who waits for it."""
Figure = Callable[["Measured"], float | None]
FIGURES: dict[str, Figure] = {
    "turns_per_second": lambda m: m.per_second,
    **{f"ttfs_ms.p{p}": (lambda m, p=p: percentile(m.ttfs, p)) for p in PERCENTILES},  # type: ignore[misc]
    **{f"total_ms.p{p}": (lambda m, p=p: percentile(m.total, p)) for p in PERCENTILES},  # type: ignore[misc]
    "cpu_ms_per_turn": lambda m: m.cpu_ms_per_turn,
    "rss_mb_peak": lambda m: m.server.peak_mb if m.server else None,
}
"""What is compared, round by round."""


@dataclass(frozen=True)
class Sample:
    """One turn that was heard to its end: when it was, in seconds of the round, and what it took, in milliseconds."""

    turn: int
    """Counted from 0 in its conversation."""
    at: float
    ttfs: float | None
    total: float


@dataclass
class Measured:
    """One round on one webhook. Interrupted turns are counted, and kept out of the times."""

    url: str
    samples: list[Sample] = field(default_factory=list)
    frames: int = 0
    interrupted: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    caller_cpu: float = 0.0
    """CPU seconds that the measuring side took."""
    server: Used | None = None

    def add(self, heard: Heard, *, turn: int, at: float) -> None:
        """Count a turn: a time, an interruption or an error."""
        self.frames += heard.frames
        if heard.error:
            self.errors[heard.error] += 1
        elif heard.total is None:
            self.interrupted += 1
        elif heard.ttfs is None:
            self.errors[SILENT] += 1
        else:
            self.samples.append(Sample(turn, at, heard.ttfs, heard.total))

    @property
    def ttfs(self) -> list[float]:
        """Milliseconds to the first speech of each turn that spoke."""
        return [sample.ttfs for sample in self.samples if sample.ttfs is not None]

    @property
    def total(self) -> list[float]:
        """Milliseconds of each turn."""
        return [sample.total for sample in self.samples]

    @property
    def turns(self) -> int:
        """Turns that were answered, those that were spoken over among them."""
        return len(self.samples) + self.interrupted

    @property
    def per_second(self) -> float:
        """Turns that were answered in a second."""
        return self.turns / self.seconds if self.seconds else 0.0

    @property
    def cpu_ms_per_turn(self) -> float | None:
        """What a turn cost the server."""
        return self.server.cpu_seconds * 1000 / self.turns if self.server and self.turns else None

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "turns": self.turns,
            "turns_per_second": round(self.per_second, 1),
            "frames": self.frames,
            "interrupted": self.interrupted,
            "errors": dict(self.errors),
            "ttfs_ms": percentiles(self.ttfs),
            "total_ms": percentiles(self.total),
            "seconds": round(self.seconds, 3),
            "server": self.server and self.server.to_json(),
            "caller_cpu_seconds": round(self.caller_cpu, 3),
        }


@dataclass
class Series:
    """The rounds of one webhook with one kind of arrivals; a figure of it is the median over them."""

    target: str
    url: str
    arrivals: Arrivals
    rounds: list[Measured] = field(default_factory=list)

    def figure(self, name: str) -> float | None:
        """One of FIGURES; None where a round has none."""
        values = [FIGURES[name](measured) for measured in self.rounds]
        known = [value for value in values if value is not None]
        return median(known) if known and len(known) == len(values) else None

    @property
    def errors(self) -> Counter[str]:
        """The failures of all rounds."""
        return sum((measured.errors for measured in self.rounds), Counter())

    @property
    def turns(self) -> int:
        """The answered turns of all rounds."""
        return sum(measured.turns for measured in self.rounds)

    def to_json(self) -> dict[str, Any]:
        """For programs: counts are sums over the rounds, figures their medians."""
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
            "rounds": [measured.to_json() for measured in self.rounds],
        }

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
    """Each webhook against the first one with the same arrivals: per figure the median of its ratios, round by round."""
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


def percentile(values: Sequence[float], which: float) -> float | None:
    """The smallest value that so many percent do not exceed; None where there is none."""
    ordered = sorted(values)
    return ordered[max(-int(-len(ordered) * which // 100) - 1, 0)] if ordered else None


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p90, p95 and p99."""
    return {f"p{p}": _rounded(percentile(values, p)) for p in PERCENTILES}
