"""Save or remove a person's verdict on a call. It is stored as the score `review` of one of the call's turns."""

from __future__ import annotations

from ..exceptions import ConfigurationError
from .read import is_running, turns_of
from .record import TurnRecord
from .stores.base import SPEAKING_KINDS, Store

REVIEW = "review"
"""The name of the score. Its value is true for a good call and false for a bad one."""


async def save_review(store: Store, conversation_id: str, *, good: bool, note: str = "") -> TurnRecord:
    """Save a verdict on a call, and return the turn on which it was saved. An earlier verdict is replaced.

    The first verdict on a call is saved on the last turn that a judge scored, so that reports can compare it with the
    judge's verdict. If no judge scored the call, the verdict is saved on the last turn. Raises NotRecordedError for an
    unknown call. Raises ConfigurationError if nothing was said in the call, or if the chosen turn is still running.
    """
    turn = _reviewed(await turns_of(store, conversation_id))
    if turn is None:
        raise ConfigurationError(f"Nothing was said in {conversation_id!r}: there is nothing to review.")
    # A running turn would overwrite the verdict when it ends.
    if await is_running(store, turn):
        raise ConfigurationError(f"A turn of {conversation_id!r} is still running. Review the call when it has ended.")

    def change(record: TurnRecord) -> None:
        record.scores[REVIEW] = {"value": good, "comment": note or None}

    return await store.update(conversation_id, turn.turn_id, change) or turn


async def remove_review(store: Store, conversation_id: str) -> None:
    """Remove the verdict on a call, if there is one. Raises NotRecordedError for an unknown call."""
    for turn in await turns_of(store, conversation_id):
        if REVIEW in turn.scores:
            await store.update(conversation_id, turn.turn_id, lambda record: record.scores.pop(REVIEW, None))


def _reviewed(turns: list[TurnRecord]) -> TurnRecord | None:
    spoken = [turn for turn in turns if turn.kind in SPEAKING_KINDS]
    chosen = [turn for turn in spoken if REVIEW in turn.scores] or [turn for turn in spoken if judged(turn)] or spoken
    return chosen[-1] if chosen else None


def judged(turn: TurnRecord) -> dict[str, bool | str]:
    """Return the judges' verdicts on a turn, by the judges' names. A verdict is true, false or "maybe"."""
    scores = turn.scores.items()
    return {name: score["value"] for name, score in scores if isinstance(score, dict) and "judge" in score}
