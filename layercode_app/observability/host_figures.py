"""Measure the CPU, memory, disk and network of the host, and the CPU and memory of the serving processes, on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

TOTALS = tuple(
    f"layercode.{name}"
    for name in ("system.network_sent_bytes", "system.network_received_bytes", "process.cpu_seconds")
)
"""The figures that only grow, and are therefore counters."""


@dataclass(frozen=True)
class HostFigure:
    """A metric of the host or of the serving processes, with the function that reads its value.

    `name` is in OpenTelemetry's style.
    """

    name: str
    unit: str
    description: str
    read: Callable[[], float]


def host_figures(pids: Callable[[], Iterable[int]] = lambda: (os.getpid(),)) -> tuple[HostFigure, ...]:
    """Return the figures of the host, and of the processes whose ids `pids` returns."""
    import psutil

    def disk(field: str) -> float:
        return float(getattr(psutil.disk_usage("/"), field))

    def network(field: str) -> float:
        return float(getattr(psutil.net_io_counters(), field))

    def memory_used() -> float:
        memory = psutil.virtual_memory()
        return float(memory.total - memory.available)

    rows: tuple[tuple[str, str, str, Callable[[], float]], ...] = (
        ("system.cpu_percent", "%", "CPU in use on the host.", psutil.cpu_percent),
        ("system.memory_used_bytes", "By", "Memory in use on the host.", memory_used),
        ("system.memory_total_bytes", "By", "Memory of the host.", lambda: float(psutil.virtual_memory().total)),
        ("system.disk_used_bytes", "By", "Disk in use on the root file system.", partial(disk, "used")),
        ("system.disk_total_bytes", "By", "Disk size of the root file system.", partial(disk, "total")),
        ("system.network_sent_bytes", "By", "Bytes sent since the host started.", partial(network, "bytes_sent")),
        ("system.network_received_bytes", "By", "Bytes received since the host started.", partial(network, "bytes_recv")),
        ("process.cpu_seconds", "s", "CPU time of the live serving processes.", lambda: _sum(pids(), _seconds)),
        ("process.resident_bytes", "By", "Memory of the live serving processes.", lambda: _sum(pids(), _resident)),
    )  # fmt: skip
    return tuple(HostFigure(f"layercode.{name}", unit, text, read) for name, unit, text, read in rows)


def readings(figures: Iterable[HostFigure]) -> Iterator[tuple[HostFigure, float]]:
    """Yield each figure with its value. Figures that cannot be read, as in some containers, are skipped."""
    for figure in figures:
        try:
            yield figure, figure.read()
        except Exception:  # noqa: BLE001, S112 - an unreadable figure must not affect the others
            continue


def observe() -> None:
    """Register the figures of the host and of this process with OpenTelemetry, which exports them."""
    from opentelemetry.metrics import CallbackOptions, Observation, get_meter

    def reader(figure: HostFigure) -> Callable[[CallbackOptions], list[Observation]]:
        return lambda options: [Observation(value) for _, value in readings((figure,))]

    meter = get_meter("layercode_app")
    for figure in host_figures():
        make = meter.create_observable_counter if figure.name in TOTALS else meter.create_observable_gauge
        make(figure.name, callbacks=[reader(figure)], unit=figure.unit, description=figure.description)


def _sum(pids: Iterable[int], of: Callable[[Any], float]) -> float:
    import psutil

    total = 0.0
    for pid in pids:
        try:
            total += of(psutil.Process(pid))
        except psutil.Error:
            continue
    return total


def _seconds(process: Any) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _resident(process: Any) -> float:
    return float(process.memory_info().rss)
