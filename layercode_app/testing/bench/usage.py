"""CPU time and memory of a server's processes, where they run on this machine and may be looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import psutil

from .connection import Address

EVERY_SECONDS = 0.25
MB = 1e6


@dataclass
class Used:
    """What a server's processes used in one round, their children among them."""

    cpu_seconds: float = 0.0
    processes: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of the round, and resident megabytes then; what processes share is counted in each."""

    @property
    def before_mb(self) -> float:
        """Resident megabytes when the round began."""
        return round(self.memory[0][1], 1)

    @property
    def after_mb(self) -> float:
        """When it had ended."""
        return round(self.memory[-1][1], 1)

    @property
    def peak_mb(self) -> float:
        """The most that was seen."""
        return round(max(mb for _, mb in self.memory), 1)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "cpu_seconds": round(self.cpu_seconds, 3),
            "rss_mb_before": self.before_mb,
            "rss_mb_peak": self.peak_mb,
            "rss_mb_after": self.after_mb,
            "processes": self.processes,
        }


class Server:
    """The processes behind a webhook, by the ids of those that listen; their children are found anew each time."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Used]:
        """What is used until the block ends; whole when it has ended."""
        used, begun = Used(), time.perf_counter()
        cpu = self._look(used, begun)
        watcher = asyncio.create_task(self._watch(used, begun))
        try:
            yield used
        finally:
            watcher.cancel()
            used.cpu_seconds = self._look(used, begun) - cpu

    async def _watch(self, used: Used, begun: float) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self._look(used, begun)

    def _look(self, used: Used, begun: float) -> float:
        """Note the memory, and give the CPU seconds since the processes began."""
        cpu = memory = 0.0
        used.processes = 0
        for process in self._processes():
            with suppress(psutil.Error), process.oneshot():
                times = process.cpu_times()
                memory += process.memory_info().rss
                cpu += times.user + times.system
                used.processes += 1
        used.memory.append((time.perf_counter() - begun, memory / MB))
        return cpu

    def _processes(self) -> Iterator[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        for pid in self._pids:
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                found |= {one.pid: one for one in (process, *process.children(recursive=True))}
        yield from found.values()


def server_of(url: str) -> Server | None:
    """The processes that listen where this URL leads; None where that is another machine, or nobody we may look at."""
    address = Address(url)
    if not _is_here(address.host):
        return None
    try:
        found = [c.pid for c in psutil.net_connections("tcp") if _is_at(c, address.port) and c.pid]
        return Server(sorted({_first(psutil.Process(pid), address.port).pid for pid in found})) if found else None
    except psutil.Error:
        return None


def _is_at(connection: Any, port: int) -> bool:
    """Whether somebody waits there for connections."""
    return bool(connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port)


def _first(process: psutil.Process, port: int) -> psutil.Process:
    """The process that opened the port; the system names only one of those that hold it, such as the last worker."""
    parent = process.parent()
    with suppress(psutil.Error):
        if parent is not None and any(_is_at(c, port) for c in parent.net_connections("tcp")):
            return _first(parent, port)
    return process


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
