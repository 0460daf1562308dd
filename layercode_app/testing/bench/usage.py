"""CPU time and memory of a server's processes, if they run on this machine and can be inspected."""

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
    """Resources that a server's processes and their children used in one round."""

    cpu_seconds: float = 0.0
    processes: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Samples (seconds since the round began, resident megabytes). Shared memory is counted once per process."""

    @property
    def before_mb(self) -> float:
        """Resident megabytes at the start of the round."""
        return round(self.memory[0][1], 1)

    @property
    def after_mb(self) -> float:
        """Resident megabytes at the end of the round."""
        return round(self.memory[-1][1], 1)

    @property
    def peak_mb(self) -> float:
        """The highest sample of resident megabytes."""
        return round(max(mb for _, mb in self.memory), 1)

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {
            "cpu_seconds": round(self.cpu_seconds, 3),
            "rss_mb_before": self.before_mb,
            "rss_mb_peak": self.peak_mb,
            "rss_mb_after": self.after_mb,
            "processes": self.processes,
        }


class Server:
    """The server processes of a webhook: the processes with the ids `pids`, and all their children.

    The children are looked up again for each sample.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Used]:
        """Measure the resources used until the block ends; the result is complete after the block."""
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
        """Record the memory, and return the processes' CPU seconds since their start."""
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
    """Return the processes that listen at a URL.

    Return None if the URL's host is not a loopback address, or if the processes are not found or cannot be inspected.
    """
    address = Address(url)
    if not _is_here(address.host):
        return None
    try:
        found = [c.pid for c in psutil.net_connections("tcp") if _is_at(c, address.port) and c.pid]
        return Server(sorted({_first(psutil.Process(pid), address.port).pid for pid in found})) if found else None
    except psutil.Error:
        return None


def _is_at(connection: Any, port: int) -> bool:
    """Return whether this is a listening socket on the port."""
    return bool(connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port)


def _first(process: psutil.Process, port: int) -> psutil.Process:
    """Return the process that opened the port, which may be a parent of `process`.

    The operating system may report only a worker of the server, which has inherited the port.
    """
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
