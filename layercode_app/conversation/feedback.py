"""Feedback from the caller's page: a `data` event `{"feedback": {"turn_id": …, "score": …, "comment": …}}`.

It is stored as a score in the record of the turn that it names.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..journal.record import Json
from .late_scores import add_scores
from .live import LiveTurn
from .prepare_and_save import Services

NAME = "feedback"
"""The key of the feedback in the data of an event. The score in the turn's record has the same name."""


class Feedback(BaseModel):
    """A caller's rating of a turn; the scores true and false are thumbs up and thumbs down."""

    model_config = ConfigDict(extra="ignore", strict=True)

    turn_id: str = Field(min_length=1, max_length=200)
    score: bool | int | float | str = Field(union_mode="left_to_right")
    comment: str | None = Field(None, max_length=2000)


def feedback_in(data: Json) -> Json | None:
    """Return the unvalidated feedback in the data of an event, or None if there is none."""
    return data.get(NAME) if isinstance(data, dict) else None


async def take_feedback(services: Services, running: LiveTurn | None, conversation_id: str, given: Json) -> Json:
    """Record feedback as a score of the turn that it names; return the answer for the page. Raises StoreError.

    `running` is the conversation's running turn in this worker, if any.
    """
    try:
        feedback = Feedback.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][:1]) or NAME
        return {"error": f"feedback is invalid: {where}: {first['msg']}."}
    key, scores = (conversation_id, feedback.turn_id), {NAME: {"value": feedback.score, "comment": feedback.comment}}
    if await add_scores(services.store, services.late, running, key, scores):
        return {NAME: "recorded"}
    return {"error": "feedback names an unknown turn."}
