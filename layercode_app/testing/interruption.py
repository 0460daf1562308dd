"""The point at which a caller interrupts a reply, and the text heard by then."""

from __future__ import annotations

import re
from enum import Enum, auto

_WORD = re.compile(r"\S+")


class Point(Enum):
    """The condition that triggers an interruption."""

    AT_ONCE = auto()
    WORDS = auto()
    SECONDS = auto()
    TEXT = auto()
    TOOL = auto()


class Cut:
    """An interruption: after some words (int), after some seconds (float), after a text was heard (str), or at once.

    With `in_tool`, the interruption comes when a tool starts. With `playing`, it comes while the caller listens to a
    reply that the agent has already completed. `playing` with seconds raises ValueError.
    """

    def __init__(
        self,
        after: int | float | str | None,
        *,
        in_tool: bool = False,
        playing: bool = False,
        required: bool = True,
    ) -> None:
        self._after = after
        self.required = required
        """Whether it is an error when the reply ends before the interruption."""
        self._playing = playing
        self.in_time = False
        """Whether an interruption after seconds or in a tool came before the reply ended.

        Always False for other interruptions.
        """
        if playing and isinstance(after, float):
            raise ValueError(
                f"interrupt(after={after}, playing=True): expected a number of words (int) or a text (str), because "
                "the reply is complete before it is interrupted"
            )
        self.point = Point.TOOL if in_tool else Point.TEXT if playing and not after else _point(after)

    @property
    def seconds(self) -> float | None:
        """Seconds from the request until the connection is closed; None unless the interruption is timed."""
        return float(self._after) if self.point is Point.SECONDS and self._after is not None else None

    def reached(self, spoken: str) -> bool:
        """Return whether to close the connection, given the text spoken so far."""
        return not self._playing and self._end(spoken) is not None

    def came(self, spoken: str) -> bool:
        """Return whether the interruption happened, given all text that was spoken."""
        return self.in_time or self._end(spoken) is not None

    def __str__(self) -> str:
        if self.point is Point.TOOL:
            return "no tool was called"
        if self.point is Point.SECONDS:
            return f"the reply was complete before {self._after} seconds had passed"
        return (
            f"{self._after!r} was not said"
            if self.point is Point.TEXT
            else f"the reply had fewer than {self._after} words"
        )

    def heard(self, spoken: str) -> str:
        """Return the part of the spoken text that was heard."""
        end = self._end(spoken)
        return spoken if end is None else spoken[:end]

    def _end(self, spoken: str) -> int | None:
        """Return the index in the text at which the caller interrupts; None if the text has no such place."""
        if self.point is Point.TOOL:
            return None
        if not self._after:
            return 0
        if isinstance(self._after, str):
            at = spoken.find(self._after)
            return None if at < 0 else at + len(self._after)
        if self.point is Point.WORDS:
            words = list(_WORD.finditer(spoken))
            return words[int(self._after) - 1].end() if len(words) >= self._after > 0 else None
        return None


def _point(after: int | float | str | None) -> Point:
    if after is None or after == 0:
        return Point.AT_ONCE
    if isinstance(after, str):
        return Point.TEXT
    return Point.WORDS if isinstance(after, int) else Point.SECONDS
