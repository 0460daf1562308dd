"""Detect that the host's clock was set, so that no rule is evaluated on a window with times from before and after."""

from __future__ import annotations

import time
from collections.abc import Callable

from loguru import logger

from ..journal import steady_clock

LEAST_SECONDS = 30.0
"""A smaller change is a correction of clock drift."""


class ClockJumps:
    """Detects that the clock was set, by comparing the time of day with the uptime."""

    def __init__(
        self, *, wall: Callable[[], float] | None = None, uptime: Callable[[], float] = steady_clock.uptime
    ) -> None:
        self._wall = wall or (lambda: time.time())
        self._uptime = uptime
        self._offset = self._wall() - uptime()
        self._jumped_at: float | None = None

    def within(self, seconds: float) -> bool:
        """Return whether the clock was set within the last `seconds`."""
        uptime = self._uptime()
        offset = self._wall() - uptime
        if abs(jump := offset - self._offset) >= LEAST_SECONDS:
            self._offset, self._jumped_at = offset, uptime
            logger.warning(
                "This machine's clock was set by {:+.0f} s. Alert rules keep their state until their window has passed.",
                jump,
            )
        return self._jumped_at is not None and uptime - self._jumped_at < seconds
