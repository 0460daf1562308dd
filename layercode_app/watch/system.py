"""Sample the CPU, memory, disk and network of every host, if an alert rule uses these metrics.

Each worker adds its samples to totals in the journal, one per minute and host. So any worker can evaluate all hosts.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime

from loguru import logger

from ..journal.stores.base import Store
from .metrics import SYSTEM
from .pending import PendingTotals
from .refusals import KEEP_SECONDS

PREFIX = "system/"
SAMPLE_SECONDS = 15.0


class System:
    """The sampled metrics of the hosts."""

    def __init__(self, store: Store, pending: PendingTotals) -> None:
        self._store = store
        self._pending = pending
        self._sampler: asyncio.Task[None] | None = None
        self._failing = False

    def start(self) -> None:
        """Start to sample this host."""
        if self._sampler is None or self._sampler.done():
            self._sampler = asyncio.create_task(self._sample(), name="system-samples")

    async def stop(self) -> None:
        """Stop sampling this host."""
        if self._sampler is not None:
            self._sampler.cancel()
            with suppress(asyncio.CancelledError):
                await self._sampler
            self._sampler = None

    async def _sample(self) -> None:
        before, at = await self._read(), time.monotonic()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            now, later = await self._read(), time.monotonic()
            if before is not None and now is not None:
                # The system's byte counter starts at boot.
                rate = (now["network"] - before["network"]) / max(later - at, 1e-9)
                sample = now | {"network": max(rate, 0.0), "samples": 1.0}
                self._pending.add(f"{_key(time.time())}/{socket.gethostname()}", sample)
            before, at = now, later

    async def _read(self) -> dict[str, float] | None:
        """Read the figures of this host. Return None if that fails; only the first failure in a row is logged."""
        try:
            figures = await asyncio.to_thread(_figures)
        except Exception as error:  # noqa: BLE001 - depends on the host: a file system that is away, or no network
            if not self._failing:
                logger.warning("CPU, memory, disk and network of this host cannot be read now: {}", error)
            self._failing = True
            return None
        self._failing = False
        return figures

    async def between(self, name: str, since: float, until: float) -> float | None:
        """Return the mean of a metric between two times (epoch seconds) on the host with the highest mean.

        Returns None if there are no samples.
        """
        first, last = _key(since), _key(until)
        hosts: dict[str, list[float]] = {}
        for key, amounts in (await self._store.totals(PREFIX)).items():
            minute, _, host = key.removeprefix(PREFIX).partition("/")
            if first <= PREFIX + minute <= last:
                total = hosts.setdefault(host, [0.0, 0.0])
                total[0] += amounts.get(name, 0.0)
                total[1] += amounts.get("samples", 0.0)
        return max((figure / samples for figure, samples in hosts.values() if samples), default=None)

    async def prune(self) -> None:
        """Delete the samples older than KEEP_SECONDS."""
        await self._store.drop_totals(PREFIX, before=_key(time.time() - KEEP_SECONDS))


def _figures() -> dict[str, float]:
    """Return the used share of CPU, memory and disk, and the number of bytes sent and received since boot."""
    import psutil

    network, disk = psutil.net_io_counters(), psutil.disk_usage(".")
    figures = (
        psutil.cpu_percent() / 100,
        psutil.virtual_memory().percent / 100,
        disk.percent / 100,
        float(network.bytes_sent + network.bytes_recv),
    )
    return dict(zip(SYSTEM, figures, strict=True))


def _key(seconds: float) -> str:
    return PREFIX + datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")
