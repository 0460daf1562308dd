"""Handle turns whose worker no longer runs them: mark these turns as failed, or as free for another worker.

A note in the record of a failed turn tells the model which tools the turn had called.
"""

from __future__ import annotations

from .record import Status, TurnRecord

GIVEN_UP = "TurnGivenUp: attempt {}"
"""The error of an unfinished turn whose worker is alive, but does not run the turn. Any worker may claim such a turn.

The worker that claims the turn begins a new attempt, but the error stays in the journal until this worker saves the
turn for the first time. The error contains the number of its attempt, so it does not apply to the new attempt.
"""
CRASHED = "CrashedTurnError"
"""The error of a turn whose worker died."""
UNKNOWN_RESULT = "result unknown, it may have taken effect"


def crash(record: TurnRecord) -> None:
    """Mark a turn as failed because its worker died."""
    if record.finished:
        return
    record.status, record.error, record.error_category = Status.FAILED, CRASHED, "internal"
    note_tools(record)


def marked_as_crashed(record: TurnRecord) -> bool:
    """Return whether `crash` ended this turn.

    `crash` records the error `CrashedTurnError`, and the caller hears no apology. A turn that itself raised
    CrashedTurnError has the same error in its record, but its caller heard an apology.
    """
    return record.error == CRASHED and record.impact != "apology"


def give_up(record: TurnRecord) -> None:
    """Let any worker claim this turn, because the worker that owns it does not run it."""
    if not record.finished:
        record.error = GIVEN_UP.format(record.attempt)


def given_up(record: TurnRecord) -> bool:
    """Return whether any worker may claim this turn, although the worker that owns it is alive."""
    return not record.finished and record.error == GIVEN_UP.format(record.attempt)


def note_tools(record: TurnRecord, *, cut_by: str = "a restart of the system") -> None:
    """Add a note about the tool calls of a turn that was cut off. The model reads this note in later turns.

    `cut_by` is the cause that the note states.
    """
    if not record.tools:
        return
    calls = "; ".join(f"{call.name}({call.args}) -> {_ending(call.status, call.result)}" for call in record.tools)
    record.notes.append(f"[This turn was cut off by {cut_by}. Tools it had called: {calls}]")


def _ending(status: str, result: object) -> str:
    return str(result) if status in ("done", "failed") else UNKNOWN_RESULT
