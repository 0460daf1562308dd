"""The beginning of a run of an agent that goes on with a turn which another agent began."""

from __future__ import annotations

from typing import Any

from ..blank import is_blank
from ..conversation.history import messages_so_far
from ..conversation.turn import Turn
from .confirmation import RunInput
from .message_prompt import TAKEN_OVER


def taken_over(turn: Turn[Any, Any]) -> RunInput:
    """Return the messages of the other agent in this turn, and a note that tells what it said."""
    flow, spoken = turn.live.flow, turn.live.spoken.runs()
    said = "".join(part.text for part in spoken if part.source != "filler").strip()
    heard = "" if is_blank(said) else f" after it had said {said!r}"
    before = flow.taken_from if flow is not None else ""
    return RunInput(f"[{before} {TAKEN_OVER}{heard}. Go on.]", messages_so_far(turn.record))
