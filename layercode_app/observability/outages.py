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
