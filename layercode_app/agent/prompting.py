"""What the model is asked in a turn: the caller's words, or a note where there are none."""

from __future__ import annotations

from typing import Any

from ..conversation.blank import is_blank
from ..conversation.record import Status
from ..conversation.turn import Turn

GO_ON = "[The caller interrupted, but no words could be made out. Go on from where you were cut off.]"
"""Asked in place of a blank transcript that cut a reply short: otherwise both sides would be silent."""


def prompt_of(turn: Turn[Any, Any]) -> str | None:
    """The prompt of a turn; None where the caller said nothing new, so that nothing is to be answered.

    Speech recognition sends a blank transcript for a cough. Models refuse blank text, some of them for the rest of the
    conversation.
    """
    if not is_blank(turn.text):
        return turn.text
    return GO_ON if _was_cut(turn) else None


def _was_cut(turn: Turn[Any, Any]) -> bool:
    """Whether the caller did not hear the end of the reply before."""
    last = turn.last
    return last is not None and last.status in (Status.INTERRUPTED, Status.SUPERSEDED) and last.impact != "goodbye"
