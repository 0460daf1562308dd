"""Serve `/metrics` to Prometheus. Each process shows the figures of all processes of the host.

Each process has its sums in memory, and shares them with all processes of all servers on the host through the files in
METRICS_DIR.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import own_registry
from .host_figures import host_figures, readings
from .metric_files import MetricFiles
from .metric_sums import Sums
from .metrics import Metric, Row

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

WRITE_SECONDS = 0.5
"""Interval at which sums are written for other processes. A write per turn would cost as much as the journal."""
MOST_WAITING = 10_000
"""Maximum number of queued rows. A longer queue is added to the sums at once, before the next flush or scrape."""


class Prometheus:
    """Records metrics for Prometheus, and shows the metrics of all processes that use `folder`.

    If `folder` is None, only the metrics of this process are shown.
    """

    def __init__(self, folder: Path | None) -> None:
        self._sums = Sums()
        self._files = None if folder is None else MetricFiles(folder)
        # Any thread may append, and a flush pops. On a deque, both operations are thread-safe without a lock.
        self._waiting: deque[Row] = deque()
        self._sums_lock, self._write_lock = threading.Lock(), threading.Lock()
        self._closed = threading.Event()
        if self._files is not None:
            self.flush()
            threading.Thread(target=self._write, name="prometheus", daemon=True).start()

    def add(self, rows: Sequence[Row]) -> None:
        """Queue rows; the next flush or scrape adds them to the sums."""
        self._waiting.extend(rows)
        if len(self._waiting) > MOST_WAITING:
            with self._sums_lock:
                self._add_waiting()

    def _write(self) -> None:
        while not self._closed.wait(WRITE_SECONDS):
            self.flush()

    def flush(self, *, gauges: bool = True) -> None:
        """Write this process's sums to its file, which the other processes read."""
        with self._write_lock:
            with self._sums_lock:
                self._add_waiting()
                sums = self._sums.dump(gauges=gauges)
            if self._files is not None:
                self._files.write({"sums": sums, "registry": own_registry.dump()})

    def _add_waiting(self) -> None:
        """Add the queued rows to the sums. The calling code must hold `_sums_lock`, so that a scrape misses nothing."""
        for metric, values, amounts in self._take():
            self._sums.add(metric, values, amounts)

    def _take(self) -> Iterable[tuple[Metric, tuple[str, ...], list[float]]]:
        """Return the queued rows, grouped by metric and labels."""
        taken: dict[tuple[str, tuple[str, ...]], tuple[Metric, tuple[str, ...], list[float]]] = {}
        for _ in range(len(self._waiting)):
            metric, amount, values = self._waiting.popleft()
            # Group by the label names too: the next time, an agent may use the same metric with other labels.
            same = taken.setdefault((metric.name, (*metric.labels, *values)), (metric, values, []))
            same[2].append(amount)
        return taken.values()

    def text(self) -> bytes:
        """Return the body of `/metrics`.

        If the processes share a folder, the body contains the metrics of all processes, even dead ones, and the metrics
        of the host. Otherwise it contains only the metrics of this process.
        """
        from prometheus_client import CollectorRegistry, generate_latest

        # The import above makes `dump` read the client's registry. If no agent file uses the client, the dump is empty.
        own: list[tuple[list[Any], int | None]] = [(own_registry.dump(), os.getpid())] if self._files else []
        total = Sums()
        with self._sums_lock:
            self._add_waiting()
            total.merge(self._sums.dump(), gauges=True)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self._families(total, own)))
        return generate_latest(registry)

    def _families(self, total: Sums, own: list[tuple[list[Any], int | None]]) -> Iterator[Family]:
        if self._files is None:
            yield from total.families()
            return
        for dumped, pid in self._files.others():
            total.merge(dumped.get("sums", {}), gauges=pid is not None)
            own.append((dumped.get("registry", []), pid))
        yield from total.families()
        yield from own_registry.merged(own)
        yield from _host(self._files)

    def close(self) -> None:
        """Write the last sums, without this process's gauges."""
        self._closed.set()
        self.flush(gauges=False)


class _Collector:
    """Passes metric families to the Prometheus client."""

    def __init__(self, families: Iterator[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        """Yield the metric families."""
        return self._families


def _host(files: MetricFiles) -> Iterator[Family]:
    from prometheus_client.core import GaugeMetricFamily

    for figure, value in readings(host_figures(files.pids)):
        yield GaugeMetricFamily(figure.name.replace(".", "_"), figure.description, value=value)
