"""Count requests of this process in a sliding window. Pass a monotonic clock: the system time may be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor


@dataclass(slots=True)
class _Window:
    began: float
    now: int = 0
    before: int = 0


class SlidingWindow:
    """Allows `amount` requests of a key in any window of `seconds`. The count is an estimate.

    The time of a key is divided into fixed windows of `seconds`. The count is the number of requests in the current
    fixed window, plus a share of the number of requests in the previous fixed window. The share is the part of the
    previous fixed window that lies within the last `seconds`.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._swept = clock()

    def hit(self, key: str, *, amount: int, seconds: float) -> float:
        """Count the request and return 0 if it is allowed. Else return the seconds until a request is allowed again."""
        now = self._clock()
        self._sweep(now, seconds)
        window = self._windows.setdefault(key, _Window(now))
        self._advance(window, now, seconds)
        left = 1 - (now - window.began) / seconds
        if floor(window.before * left) + window.now < amount:
            window.now += 1
            return 0.0
        if window.now >= amount:
            return left * seconds
        return (left - (amount - window.now) / window.before) * seconds

    def _advance(self, window: _Window, now: float, seconds: float) -> None:
        passed = int((now - window.began) // seconds)
        if passed:
            window.before, window.now = (window.now if passed == 1 else 0), 0
            window.began += passed * seconds

    def _sweep(self, now: float, seconds: float) -> None:
        """Delete the keys whose requests no longer count, but at most once per window."""
        if now - self._swept < seconds:
            return
        self._swept = now
        self._windows = {key: window for key, window in self._windows.items() if now - window.began < 2 * seconds}
