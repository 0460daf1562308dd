"""A timeout for the pauses within a model's answer."""

from __future__ import annotations

import math
from contextvars import Context

from ..conversation.timeout import Timeout

UNBOUNDED = 86_400.0
"""A timeout, in seconds, that no turn reaches. It is used for `seconds=0`, which means "no timeout"."""


class Pauses(Timeout):
    """A timeout for each pause in a model's streamed answer. `with pauses:` raises TimeoutError after a pause of `seconds`.

    Call `over()` when a piece of the answer has arrived, and `begin()` when you wait for the next piece. The time in
    between is spent on sending the words to the client, and does not count. The wait for the first piece is not timed.
    """

    __slots__ = ("_since",)

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds or UNBOUNDED)
        self._since = math.inf

    def begin(self) -> None:
        """Start timing a pause. Call this when you begin to wait for the next piece of the answer."""
        self._since = self._loop_time()

    def over(self) -> None:
        """Stop timing the pause. Call this when a piece of the answer has arrived."""
        self._since = math.inf

    def _loop_time(self) -> float:
        return self._task.get_loop().time()

    def _pass(self) -> None:
        left = self._since + self._seconds - self._loop_time()
        if left <= 0:
            super()._pass()
            return
        # No pause is too long yet. Set the timer again, for the time when the current pause would be too long. So one
        # timer serves the whole answer, and the arrival of a piece needs no new timer.
        # Use an empty context: a cancelled timer would keep the context of the turn in memory until it was due.
        self._timer = self._task.get_loop().call_later(min(left, self._seconds), self._pass, context=Context())
