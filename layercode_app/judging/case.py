"""Format a whole call as text for judges: the instructions, the transcript, and the outcomes and state at the end."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from ..journal.record import Json
from ..output.visible import visible, visible_lines


def written_case(instructions: str, transcript: str, outcomes: Sequence[str], state: Json, *, goal: str = "") -> str:
    """Return the text that a judge reads. Texts of the call are indented, so that none looks like our headings."""
    parts = [
        goal and f"The caller's goal: {visible(goal)}",
        f"The agent's instructions:\n    {visible_lines(instructions or '(not known)', indent='    ')}",
        f"The call:\n{transcript}",
        f"At the end: outcomes {list(outcomes) or 'none'}; state {visible(repr(state))}",
    ]
    return "\n\n".join(part for part in parts if part)


def instructions_of(messages: bytes | None) -> str:
    """Return the instructions of the first model request in a turn's messages; empty if there are none."""
    for message in orjson.loads(messages) if messages else []:
        if message.get("instructions"):
            return str(message["instructions"])
    return ""
