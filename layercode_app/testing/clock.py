"""A frozen clock for tests, advanced by hand."""

from __future__ import annotations


class Clock:
    """A frozen time of day, in epoch seconds. Durations are not frozen: a monotonic clock measures them."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the frozen time, in place of `time.time()`."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by this many seconds."""
        self.now += seconds
