"""What a conversation's state keeps of the collected values."""

from __future__ import annotations

from pydantic import BaseModel

from ..journal.record import Json


class Answer(BaseModel):
    """What is known of one value."""

    heard: str = ""
    """The caller's words for it."""
    value: Json = None
    """The value in JSON, or None while it is not complete."""
    spoken: str = ""
    """The value as it is read back."""
    confirmed: bool = False
    partial: str = ""
    """The words of a value that is not complete yet; the next words may complete it."""


class Collecting(BaseModel):
    """The base of a state model for collectors: `class Intake(Collecting): email: str = ""`.

    `collected` has an Answer for each field. A field of the same name, if the model has one, gets the value once the caller
    has confirmed it.
    """

    collected: dict[str, Answer] = {}

    def answer(self, field: str) -> Answer:
        """Return what is known of a field."""
        return self.collected.get(field, Answer())
