"""A sink that fails says so once, and once more when it works again; no call notices."""

from __future__ import annotations

import sys
import threading

from loguru import logger


class Outage:
    """Whether one sink is down. Any thread may tell."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._down = False
        self._lock = threading.Lock()

    @property
    def down(self) -> bool:
        """Whether it failed the last time."""
        return self._down

    def failed(self, reason: str) -> None:
        """It failed; only the first time of an outage is logged."""
        if self._change(down=True):
            logger.warning("{} does not take what is sent to it: {}. Calls go on without it.", self._sink, reason)

    def worked(self) -> None:
        """It worked; logged when it had failed before."""
        if self._down and self._change(down=False):
            logger.info("{} works again.", self._sink)

    def _change(self, *, down: bool) -> bool:
        with self._lock:
            changed = self._down != down
            self._down = down
        return changed


class SinkOutage:
    """The outage of a sink that is sent traces and metrics. A sink that takes traces only says so once."""

    def __init__(self, sink: str) -> None:
        self._all = Outage(sink)
        self._metrics = _MetricsOutage(sink)
        self._traces_work: bool | None = None
        self._lock = threading.Lock()

    @property
    def down(self) -> bool:
        """Whether anything failed the last time it was sent."""
        return self._all.down or self._metrics.down

    def failed(self, reason: str, *, signal: str = "traces") -> None:
        """Say it once: metrics that fail while traces work are another fault than a sink that is down."""
        with self._lock:
            if signal == "traces":
                self._traces_work = False
            alone = signal == "metrics" and self._traces_work
        (self._metrics if alone else self._all).failed(reason)

    def worked(self, *, signal: str = "traces") -> None:
        """Say that the sink works again, or that it takes metrics again."""
        with self._lock:
            if signal == "traces":
                self._traces_work = True
            all_work = self._traces_work is not False
        if signal == "metrics":
            self._metrics.worked()
        if all_work:
            self._all.worked()


class _MetricsOutage(Outage):
    def failed(self, reason: str) -> None:
        if self._change(down=True):
            logger.warning(
                "{} takes traces, but not metrics: {}. If it is a viewer of traces only, set OTEL_METRICS_EXPORTER=none.",
                self._sink,
                reason,
            )

    def worked(self) -> None:
        if self._down and self._change(down=False):
            logger.info("{} takes metrics again.", self._sink)


class LogOutage(Outage):
    """The outage of a log file, which cannot be logged to itself."""

    def failed(self, reason: str) -> None:
        """Say it on stderr, once per outage."""
        if self._change(down=True):
            _say(f"WARNING: {self._sink} cannot be written: {reason}. Calls go on without it.")

    def worked(self) -> None:
        """Say on stderr that it can be written again."""
        if self._down and self._change(down=False):
            _say(f"INFO: {self._sink} can be written again.")


def _say(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
