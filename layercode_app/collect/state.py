"""The part of a conversation's state that stores the collected values."""

from __future__ import annotations

from pydantic import BaseModel

from ..journal.record import Json


class Answer(BaseModel):
    """One collected value: what was heard, the value, and whether the caller confirmed it."""

    heard: str = ""
    """The caller's words for the value."""
    value: Json = None
    """The value in JSON; None until a complete value was understood."""
    spoken: str = ""
    """The value as it is read back."""
    confirmed: bool = False
    partial: str = ""
    """The words of a value that is not complete yet; the next words may complete it."""


class Collecting(BaseModel):
    """The base of a state model for collectors: `class Intake(Collecting): email: str = ""`.

    `collected` has an Answer for each collector, by the collector's `field`. If the state model has a field of the same
    name, that field gets the value as soon as the value is confirmed.
    """

    collected: dict[str, Answer] = {}

    def answer(self, field: str) -> Answer:
        """Return the Answer of a field; an empty Answer if nothing was collected yet."""
        return self.collected.get(field, Answer())
