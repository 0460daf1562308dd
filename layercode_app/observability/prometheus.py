"""`/metrics` for Prometheus, whole per host: every process writes its figures into one folder, any of them serves all.

The folder is METRICS_DIR, shared by the workers of a server and by several servers on one host.
"""

from __future__ import annotations

import os
import tempfile
import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..settings import make_folder, overlay
from .metrics import SECONDS, TABLE, Metric, Row

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily

WRITE_SECONDS = 0.5
"""How long figures wait for others: a write for each would cost a turn as much as its journal."""
MOST_WAITING = 10_000
"""So many figures wait at most, in a process that nobody asks for them."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Prometheus:
    """Keeps metrics for Prometheus. `folder` is made; where it cannot be, a temporary one stands in.

    Without a folder they are this process's alone, and nothing is changed for others who use the library in it.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else _usable(folder)
        if self.folder is not None:
            _sweep(self.folder)
            # The library decides when it is imported whether there are several processes.
            overlay({"PROMETHEUS_MULTIPROC_DIR": str(self.folder)})
        self._registry = None if self.folder is not None else _new_registry()
        self._metrics: dict[str, Any] = {}
        self._series: dict[tuple[str, tuple[str, ...]], Any] = {}
        for metric in TABLE:
            self._make(metric)
        # Added to by any thread, and taken from by the one that flushes: both ends of a deque are safe without a lock.
        self._waiting: deque[Row] = deque()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        if self.folder is not None:
            threading.Thread(target=self._write, name="prometheus", daemon=True).start()

    def add(self, rows: Sequence[Row]) -> None:
        """Tell the series of these labels; a moment later, with others."""
        self._waiting.extend(rows)
        if len(self._waiting) > MOST_WAITING:
            self.flush()

    def _write(self) -> None:
        while not self._closed.wait(WRITE_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Write what was added into this process's files, where the other processes read it."""
        with self._lock:
            for metric, values, amounts in self._take():
                # An agent may count the same with other labels than before: that figure is lost, and no other one.
                with suppress(ValueError):
                    series = self._series_of(metric, values)
                    _observe_all(series, amounts) if metric.kind == "histogram" else series.inc(sum(amounts))

    def _take(self) -> Iterable[tuple[Metric, tuple[str, ...], list[float]]]:
        """What waits, by metric and labels."""
        taken: dict[tuple[str, tuple[str, ...]], tuple[Metric, tuple[str, ...], list[float]]] = {}
        for _ in range(len(self._waiting)):
            metric, amount, values = self._waiting.popleft()
            same = taken.get((metric.name, values))
            if same is None:
                taken[metric.name, values] = (metric, values, [amount])
            else:
                same[2].append(amount)
        return taken.values()

    def _series_of(self, metric: Metric, values: tuple[str, ...]) -> Any:
        """The series of these labels, which is made when it is first used."""
        series = self._series.get((metric.name, values))
        if series is None:
            made = self._metrics.get(metric.name) or self._make(metric)
            series = self._series[metric.name, values] = made.labels(*values) if metric.labels else made
        return series

    def _make(self, metric: Metric) -> Any:
        import prometheus_client as client

        name, registry = prometheus_name(metric), self._registry
        if metric.kind == "histogram":
            made: Any = client.Histogram(name, metric.description, metric.labels, registry=registry, buckets=SECONDS)
        elif metric.kind == "gauge":
            made = client.Gauge(name, metric.description, metric.labels, registry=registry, multiprocess_mode="livesum")
        else:
            made = client.Counter(name, metric.description, metric.labels, registry=registry)
        self._metrics[metric.name] = made
        return made

    def text(self) -> bytes:
        """What `/metrics` answers: the figures of every process, those of dead ones included, and the host's."""
        from prometheus_client import generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        self.flush()
        if self.folder is None:
            return generate_latest(self._registry or _new_registry())
        registry = _new_registry()
        # Whoever took it away meanwhile, with what was in it, has not taken away the server.
        make_folder(self.folder)
        MultiProcessCollector(registry, path=str(self.folder))  # type: ignore[no-untyped-call]
        registry.register(_System(self.folder))
        return generate_latest(registry)

    def close(self) -> None:
        """This process's gauges count no more; its counters stay."""
        from prometheus_client.multiprocess import mark_process_dead

        self._closed.set()
        self.flush()
        if self.folder is not None:
            mark_process_dead(os.getpid(), str(self.folder))  # type: ignore[no-untyped-call]


def _new_registry() -> CollectorRegistry:
    from prometheus_client import CollectorRegistry

    return CollectorRegistry()


def _observe_all(histogram: Any, amounts: list[float]) -> None:
    """As `observe` for each of them, at the cost of one; the library has no public word for it."""
    histogram._sum.inc(sum(amounts))
    bounds = histogram._upper_bounds
    for bucket, number in Counter(bisect_left(bounds, amount) for amount in amounts).items():
        histogram._buckets[bucket].inc(number)


def prometheus_name(metric: Metric) -> str:
    """The name in Prometheus's style, without the `_total` that counters are given."""
    name = "".join(c if c.isalnum() else "_" for c in metric.name)
    return f"{name}_seconds" if metric.unit == "s" else name


def _usable(folder: Path) -> Path:
    try:
        make_folder(folder)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        stand_in = Path(tempfile.mkdtemp(prefix="layercode-metrics-"))
        logger.warning(
            "METRICS_DIR {} cannot be written: {}. /metrics shows this process only.", folder, error.strerror
        )
        return stand_in
    return folder


def _pids(folder: Path) -> dict[int, list[Path]]:
    files: dict[int, list[Path]] = {}
    for path in folder.glob("*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit():
            files.setdefault(int(pid), []).append(path)
    return files


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _sweep(folder: Path) -> None:
    """Begin anew when none of those who wrote here is alive; else only the gauges of the dead go."""
    files = _pids(folder)
    dead = [pid for pid in files if not _alive(pid) or pid == os.getpid()]
    for pid in dead:
        for path in files[pid]:
            if len(dead) == len(files) or path.name.startswith("gauge_live"):
                path.unlink(missing_ok=True)


class _System:
    """The host's figures and those of the processes that serve, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families."""
        import psutil
        from prometheus_client.core import GaugeMetricFamily

        disk, network = psutil.disk_usage("/"), psutil.net_io_counters()
        memory = psutil.virtual_memory()
        seconds, resident = _processes(self._folder)
        for name, text, value in (
            ("system_cpu_percent", "CPU in use on the host.", psutil.cpu_percent()),
            ("system_memory_used_bytes", "Memory in use on the host.", memory.total - memory.available),
            ("system_memory_total_bytes", "Memory of the host.", memory.total),
            ("system_disk_used_bytes", "Disk in use, of the root file system.", disk.used),
            ("system_disk_total_bytes", "Disk of the root file system.", disk.total),
            ("system_network_sent_bytes", "Sent by the host since it started.", network.bytes_sent),
            ("system_network_received_bytes", "Received by the host since it started.", network.bytes_recv),
            ("process_cpu_seconds", "CPU time of the serving processes that live.", seconds),
            ("process_resident_bytes", "Memory of the serving processes that live.", resident),
        ):
            yield GaugeMetricFamily(f"layercode_{name}", text, value=float(value))


def _processes(folder: Path) -> tuple[float, int]:
    import psutil

    seconds, resident = 0.0, 0
    for pid in {os.getpid(), *_pids(folder)}:
        try:
            process = psutil.Process(pid)
            times = process.cpu_times()
            seconds += times.user + times.system
            resident += process.memory_info().rss
        except psutil.Error:
            continue
    return seconds, resident
