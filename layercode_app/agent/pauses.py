"""A timeout for the pauses within a model's answer."""

from __future__ import annotations

import math

from ..conversation.deadline import Deadline

UNBOUNDED = 86_400.0
"""Seconds; what a timeout of 0 means."""


class Pauses(Deadline):
    """`with Pauses(seconds) as pauses:` raises TimeoutError when a model pauses for longer than that.

    The wait for the first piece has a timeout of its own. `pauses.over()` says that a piece has come, and `pauses.begin()` that the next one is awaited. Between the two, the
    time is not the model's: a slow caller takes the words slowly.
    """

    __slots__ = ("_since",)

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds or UNBOUNDED)
        self._since = math.inf

    @property
    def passed(self) -> bool:
        """Whether the model paused for too long."""
        return self._passed

    def begin(self) -> None:
        """The next piece is awaited."""
        self._since = self._loop_time()

    def over(self) -> None:
        """A piece has come."""
        self._since = math.inf

    def _loop_time(self) -> float:
        return self._task.get_loop().time()

    def _pass(self) -> None:
        left = self._since + self._seconds - self._loop_time()
        if left <= 0:
            super()._pass()
            return
        # One timer for the whole answer: it costs a piece nothing, and looks again when the pause could be too long.
        self._timer = self._task.get_loop().call_later(min(left, self._seconds), self._pass)
