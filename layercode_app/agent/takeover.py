"""Build the input of a run for an agent that takes over a turn from another agent."""

from __future__ import annotations

from typing import Any

from ..blank import is_blank
from ..conversation.history import messages_so_far
from ..conversation.turn import Turn
from .confirmation import RunInput
from .message_prompt import TAKEN_OVER


def taken_over(turn: Turn[Any, Any]) -> RunInput:
    """Return the input of the new agent's run: the first agent's messages of this turn, and a note.

    The note quotes the words of the first agent.
    """
    flow, spoken = turn.live.flow, turn.live.spoken.runs()
    said = "".join(part.text for part in spoken if part.source != "filler").strip()
    heard = "" if is_blank(said) else f" after it had said {said!r}"
    before = flow.taken_from if flow is not None else ""
    return RunInput(f"[{before} {TAKEN_OVER}{heard}. Go on.]", messages_so_far(turn.record))
