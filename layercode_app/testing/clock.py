"""A clock that stands still until it is told to go on."""

from __future__ import annotations


class Clock:
    """The time of day, in epoch seconds. Durations are measured by another clock, which goes on."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """What `time.time()` returns under this clock."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self.now += seconds
