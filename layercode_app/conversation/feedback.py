"""Feedback from the caller's page: a `data` event `{"feedback": {"turn_id": …, "score": …, "comment": …}}`.

It is a score of the turn that it is about, and kept with it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .record import Json, TurnRecord
from .stores.base import Store

NAME = "feedback"
"""The score that it is recorded as."""


class Feedback(BaseModel):
    """What a caller thinks of a turn; a score of true and false is thumbs up and down."""

    model_config = ConfigDict(extra="ignore", strict=True)

    turn_id: str = Field(min_length=1, max_length=200)
    score: bool | int | float | str = Field(union_mode="left_to_right")
    comment: str | None = Field(None, max_length=2000)


def feedback_in(data: Json) -> Json | None:
    """The feedback in the data of an event, not yet checked; None when the event is about something else."""
    return data.get(NAME) if isinstance(data, dict) else None


async def take_feedback(store: Store, conversation_id: str, given: Json) -> Json:
    """Record feedback on its turn; the answer for the page. Raises StoreError."""
    try:
        feedback = Feedback.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][:1]) or NAME
        return {"error": f"feedback is not as expected: {where}: {first['msg']}."}

    def change(record: TurnRecord) -> None:
        record.scores[NAME] = {"value": feedback.score, "comment": feedback.comment}

    if await store.update(conversation_id, feedback.turn_id, change) is None:
        return {"error": "feedback names a turn that is not known."}
    return {NAME: "recorded"}
