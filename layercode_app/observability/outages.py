"""Log once when a sink fails, and once when it works again. Calls are not affected."""

from __future__ import annotations

import sys
import threading

from loguru import logger

from .pipes import STDERR


class Outage:
    """The state of one sink: down or not. Thread-safe."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._down = False
        self._lock = threading.Lock()

    @property
    def down(self) -> bool:
        """True if the sink's last attempt failed."""
        return self._down

    def failed(self, reason: str) -> None:
        """Record a failure. Only the first failure of an outage is logged."""
        if self._change(down=True):
            logger.warning("{} does not accept data: {}. Calls continue without it.", self._sink, reason)

    def worked(self) -> None:
        """Record a success. It is logged if the sink was down."""
        if self._down and self._change(down=False):
            logger.info("{} works again.", self._sink)

    def _change(self, *, down: bool) -> bool:
        with self._lock:
            changed = self._down != down
            self._down = down
        return changed


class SinkOutage:
    """Tracks whether a sink accepts traces and metrics. If it accepts only traces, the warning says so."""

    def __init__(self, sink: str) -> None:
        self._all = Outage(sink)
        self._metrics = _MetricsOutage(sink)
        self._traces_work: bool | None = None
        self._lock = threading.Lock()

    @property
    def down(self) -> bool:
        """True if the last attempt to send traces or metrics failed."""
        return self._all.down or self._metrics.down

    def failed(self, reason: str, *, signal: str = "traces") -> None:
        """Log the first failure of an outage. If only metrics fail, the warning says so."""
        with self._lock:
            if signal == "traces":
                self._traces_work = False
            alone = signal == "metrics" and self._traces_work
        (self._metrics if alone else self._all).failed(reason)

    def worked(self, *, signal: str = "traces") -> None:
        """Record that the sink accepted a signal. Log if this ends an outage of the sink, or of its metrics alone."""
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
                "{} accepts traces but not metrics: {}. If it stores traces only, set OTEL_METRICS_EXPORTER=none.",
                self._sink,
                reason,
            )

    def worked(self) -> None:
        if self._down and self._change(down=False):
            logger.info("{} accepts metrics again.", self._sink)


class LogOutage(Outage):
    """The state of a log output. Its outage is reported on stderr, because the output itself cannot show it."""

    def failed(self, reason: str) -> None:
        """Report the failure on stderr, once per outage."""
        if self._change(down=True):
            _say(f"WARNING: {self._sink} cannot be written: {reason}. Calls continue without it.")

    def worked(self) -> None:
        """Report on stderr that the output is writable again."""
        if self._down and self._change(down=False):
            _say(f"INFO: {self._sink} is writable again.")


def _say(text: str) -> None:
    if STDERR.write(f"{text}\n".encode()):
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
