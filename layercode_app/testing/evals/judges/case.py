"""Write down a whole call for judges: goal, instructions, every turn with its tools and their results, and the end."""

from __future__ import annotations

import orjson

from ....output.visible import visible, visible_lines
from ..scenario import Scenario
from ..simulated.grade import Call

HEAD = "This question is about the whole call, from the greeting to the end.\n\n"


def case_of(scenario: Scenario, call: Call, transcript: str) -> str:
    """Return what a judge is shown. Texts of the call cannot pass for our own headings, because they are indented."""
    goal = scenario.caller.goal if scenario.caller else ""
    outcomes = [outcome["name"] for record in call.records for outcome in record.outcomes]
    parts = [
        goal and f"The caller's goal: {visible(goal)}",
        f"The agent's instructions:\n    {visible_lines(_instructions(call) or '(not known)', indent='    ')}",
        f"The call:\n{transcript}",
        f"At the end: outcomes {outcomes or 'none'}; state {visible(repr(dict(call.state)))}",
    ]
    return "\n\n".join(part for part in parts if part)


def _instructions(call: Call) -> str:
    """Return the instructions of the first request to the model."""
    for record in call.records:
        for message in orjson.loads(record.messages) if record.messages else []:
            if message.get("instructions"):
                return str(message["instructions"])
    return ""
