"""Detect changes of the host's clock. An alert rule is not evaluated while its window contains such a change."""

from __future__ import annotations

import time
from collections.abc import Callable

from loguru import logger

from ..journal import steady_clock

LEAST_SECONDS = 30.0
"""Smaller changes only correct clock drift and are ignored."""


class ClockJumps:
    """A detector of clock changes, which compares the time of day with the uptime."""

    def __init__(
        self, *, wall: Callable[[], float] | None = None, uptime: Callable[[], float] = steady_clock.uptime
    ) -> None:
        self._wall = wall or (lambda: time.time())
        self._uptime = uptime
        self._offset = self._wall() - uptime()
        self._jumped_at: float | None = None

    def within(self, seconds: float) -> bool:
        """Return whether the clock was changed within the last `seconds`. Logs a warning for a new change."""
        uptime = self._uptime()
        offset = self._wall() - uptime
        if abs(jump := offset - self._offset) >= LEAST_SECONDS:
            self._offset, self._jumped_at = offset, uptime
            logger.warning(
                "This machine's clock was changed by {:+.0f} s. Each alert rule now keeps its state for the duration "
                "of its window.",
                jump,
            )
        return self._jumped_at is not None and uptime - self._jumped_at < seconds
