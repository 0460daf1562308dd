"""The mind of a simulated caller: it hears, and decides what to say next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol


class Exchange(NamedTuple):
    """What the caller said, and what they heard of the reply."""

    said: str
    heard: str


@dataclass(frozen=True)
class Hearing:
    """The conversation as the caller knows it. Of an interrupted reply they know the part before the cut."""

    heard: str
    """What was heard since the caller's last line."""
    exchanges: Sequence[Exchange] = ()
    """The whole conversation, oldest first; the greeting answers an empty text."""
    broke_in: bool = False
    """Whether the caller spoke over a reply since their last line."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    random: Random = field(default_factory=Random)
    """The random numbers of this turn; the same seed gives the same."""


class Move(NamedTuple):
    """What the caller does: say something, stay silent with an empty text, or hang up with None."""

    say: str | None
    note: str = ""
    """Why they hung up, if not everything went as they wished."""
    reached: bool = False
    """Whether they hung up because their goal is reached."""
    last: bool = False
    """Whether they hang up once they heard the reply to these words."""


class Mind(Protocol):
    """Chooses the caller's words. A script does, or a model."""

    @property
    def satisfied(self) -> bool:
        """Whether the caller has nothing more to say, so that the agent may hang up."""

    async def next(self, hearing: Hearing) -> Move:
        """Return the next move. Raises CallerError if there is none."""
