"""The mind of a simulated caller: it hears the agent, and decides what to say next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol


class Exchange(NamedTuple):
    """The caller's words, and the part of the reply that the caller heard."""

    said: str
    heard: str


@dataclass(frozen=True)
class Hearing:
    """The conversation as the caller knows it: an interrupted reply ends at the interruption."""

    heard: str
    """The agent's words that were heard since the caller's last line."""
    exchanges: Sequence[Exchange] = ()
    """The whole conversation, oldest first; the greeting answers an empty text."""
    broke_in: bool = False
    """Whether the caller interrupted a reply since their last line."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    random: Random = field(default_factory=Random)
    """The random generator of this turn; the same seed gives the same numbers."""


class Move(NamedTuple):
    """The caller's next move. `say` is the text to say; an empty text means silence, None means hanging up."""

    say: str | None
    note: str = ""
    """Why the caller hung up before they had what they wanted; otherwise empty."""
    reached: bool = False
    """Whether the caller hung up because their goal is reached."""
    last: bool = False
    """Whether the caller hangs up after the reply to these words."""


class Mind(Protocol):
    """The part of a simulated caller that chooses the words: a script or a model."""

    @property
    def satisfied(self) -> bool:
        """Whether the caller is finished. If the agent hangs up while this is False, the call counts as unfinished."""

    async def next(self, hearing: Hearing) -> Move:
        """Return the next move. Raises CallerError if the script or the model gives no move."""
