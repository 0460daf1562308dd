"""Format a whole call as text for judges: the instructions, the transcript, and the outcomes and state at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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


def instructions_of(turns: Iterable[bytes]) -> str:
    """Return the instructions in the messages of some turns; empty if there are none.

    They change during a call if the agent has stages or hands the call over. Each paragraph is returned only once.
    """
    texts = (text for messages in turns for text in prompts_in(messages))
    return "\n\n".join(dict.fromkeys(paragraph for text in texts for paragraph in text.split("\n\n")))


def prompts_in(messages: bytes) -> Iterator[str]:
    """Yield the instructions and system prompts of each model request in a turn's messages."""
    for message in orjson.loads(messages) if messages else []:
        yield from (str(part["content"]) for part in message["parts"] if part["part_kind"] == "system-prompt")
        if message.get("instructions"):
            yield str(message["instructions"])
