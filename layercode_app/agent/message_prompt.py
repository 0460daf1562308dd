"""Choose the prompt of a turn: the caller's words, or a note in brackets if the caller said nothing meaningful."""

from __future__ import annotations

from typing import Any

from ..blank import is_blank
from ..conversation.resumed import was_cut_off
from ..conversation.turn import Turn
from ..journal.record import Status

GO_ON = "[The caller interrupted, but no words could be made out. Go on from where you were cut off.]"
"""The prompt for a blank transcript that interrupted a reply. Without a prompt, both sides would stay silent."""

LISTENED = "[The caller only showed that they listen. Go on from where you were cut off.]"
"""The prompt for listening sounds that interrupted a reply before the model had finished it."""

TAKEN_OVER = "has handed the caller to you"
"""Part of the prompt of an agent that continues a turn after another agent handed the call over."""


def prompt_of(turn: Turn[Any, Any], *, listening: bool = False) -> str | None:
    """Return the prompt of a turn, or None if the caller said nothing that needs an answer.

    `listening` means that the message consists only of listening sounds.

    A blank transcript is never a prompt. Speech recognition may send one for a cough, for example. Models refuse blank
    text, and some refuse every later request whose history contains it.
    """
    if listening and turn.last is not None and was_cut_off(turn.last):
        return LISTENED
    if not is_blank(turn.text):
        return turn.text
    return GO_ON if _was_cut(turn) else None


def _was_cut(turn: Turn[Any, Any]) -> bool:
    """Return whether the previous reply was cut off. False for a goodbye, which need not be continued."""
    last = turn.last
    return last is not None and last.status in (Status.INTERRUPTED, Status.SUPERSEDED) and last.impact != "goodbye"
