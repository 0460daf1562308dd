"""Sum the metrics. Each process has its sums in memory; `/metrics` adds up the sums of all processes of a host."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .labels import Labels
from .metrics import SECONDS, Metric

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

_BOUNDS = (*(str(bound) for bound in SECONDS), "+Inf")


@dataclass(slots=True)
class _Series:
    """The sums of one metric by label values. A sum is one number, or for a histogram the total and the buckets."""

    kind: str
    description: str
    labels: tuple[str, ...]
    sums: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    def of(self, values: tuple[str, ...]) -> list[float]:
        """Return the sums for these label values. If there are none yet, create them with zeros."""
        found = self.sums.get(values)
        if found is None:
            found = self.sums[values] = [0.0] * (2 + len(SECONDS) if self.kind == "histogram" else 1)
        return found


class Sums:
    """The sums by metric. Not thread-safe."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}
        self._labels = Labels()

    def add(self, metric: Metric, values: tuple[str, ...], amounts: Sequence[float]) -> None:
        """Add amounts to a counter or gauge, or observe each of them in a histogram."""
        series = self._of(prometheus_name(metric), metric.kind, metric.description, metric.labels)
        # An agent may reuse a metric's name with different labels: drop only that figure.
        if series is None or len(values) != len(series.labels):
            return
        sums = series.of(self._labels.of(metric.name, values))
        sums[0] += sum(amounts)
        if metric.kind == "histogram":
            for amount in amounts:
                sums[1 + bisect_left(SECONDS, amount)] += 1

    def _of(self, name: str, kind: str, description: str, labels: Sequence[str]) -> _Series | None:
        names = tuple(_ascii(label) for label in labels)
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = _Series(kind, description, names)
        return series if (series.kind, series.labels) == (kind, names) else None

    def dump(self, *, gauges: bool = True) -> dict[str, Any]:
        """Return the sums as JSON values. When a process ends, it passes `gauges=False` to leave its gauges out."""
        return {
            name: [one.kind, one.description, one.labels, [[*pair] for pair in one.sums.items()]]
            for name, one in self._series.items()
            if gauges or one.kind != "gauge"
        }

    def merge(self, dumped: Mapping[str, Any], *, gauges: bool) -> None:
        """Add the dump of another process. For a dead process, pass `gauges=False` to leave its gauges out."""
        for name, (kind, description, labels, pairs) in dumped.items():
            series = self._of(name, kind, description, labels) if gauges or kind != "gauge" else None
            for values, added in pairs if series is not None else ():
                assert series is not None
                sums = series.of(tuple(values))
                # Processes of different versions may have different buckets.
                if len(sums) == len(added):
                    sums[:] = [one + other for one, other in zip(sums, added, strict=True)]

    def families(self) -> Iterator[Family]:
        """Yield the metrics as families of the Prometheus client."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, series in self._series.items():
            if series.kind == "histogram":
                histogram = HistogramMetricFamily(name, series.description, labels=series.labels)
                for values, (total, *counts) in series.sums.items():
                    histogram.add_metric(values, _cumulated(counts), total)
                yield histogram
                continue
            kind = GaugeMetricFamily if series.kind == "gauge" else CounterMetricFamily
            family = kind(name, series.description, labels=series.labels)
            for values, (total,) in series.sums.items():
                family.add_metric(values, total)
            yield family


def _cumulated(counts: Sequence[float]) -> list[tuple[str, float]]:
    found, so_far = [], 0.0
    for bound, count in zip(_BOUNDS, counts, strict=True):
        so_far += count
        found.append((bound, so_far))
    return found


def prometheus_name(metric: Metric) -> str:
    """Return the name in Prometheus's style, without the `_total` that the client adds to counters."""
    name = _ascii(metric.name)
    return f"{name}_seconds" if metric.unit == "s" else name


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
