"""Choose the prompt of a turn: the caller's words, or a note if there are none."""

from __future__ import annotations

from typing import Any

from ..blank import is_blank
from ..conversation.resumed import was_cut_off
from ..conversation.turn import Turn
from ..journal.record import Status

GO_ON = "[The caller interrupted, but no words could be made out. Go on from where you were cut off.]"
"""The prompt for a blank transcript that interrupted a reply: otherwise both sides would stay silent."""

LISTENED = "[The caller only showed that they listen. Go on from where you were cut off.]"
"""The prompt for listening sounds that stopped a reply before the model had written all of it."""

TAKEN_OVER = "has handed the caller to you"
"""A part of the prompt of an agent that goes on with a turn which another agent began."""


def prompt_of(turn: Turn[Any, Any], *, listening: bool = False) -> str | None:
    """Return the prompt of a turn, or None if the caller said nothing that needs an answer.

    `listening` means that the message is only listening sounds.

    Speech recognition sends a blank transcript for a cough. Models refuse blank text, some of them for the rest of the
    conversation.
    """
    if listening and turn.last is not None and was_cut_off(turn.last):
        return LISTENED
    if not is_blank(turn.text):
        return turn.text
    return GO_ON if _was_cut(turn) else None


def _was_cut(turn: Turn[Any, Any]) -> bool:
    """Return whether the previous reply was cut off, unless it was a goodbye."""
    last = turn.last
    return last is not None and last.status in (Status.INTERRUPTED, Status.SUPERSEDED) and last.impact != "goodbye"
