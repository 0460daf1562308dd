"""Record which parts of a request changed since the last request. Providers cannot cache the part after a change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ..conversation.turn import Turn

if TYPE_CHECKING:
    from ..journal.record import TurnRecord


def note_changes(turn: Turn[Any, Any], parameters: Any, *, remembers: bool) -> None:
    """Compare a request's instructions, tools and history with those of the agent's previous request.

    Add the names of the parts that changed to the record's `prompt_changes`. `parameters` is PydanticAI's
    ModelRequestParameters. `remembers` tells whether the agent reads the earlier turns.
    """
    record = turn.record
    prompt = {"instructions": _digest(_instructions(parameters)), "tools": _digest(_tools(parameters))}
    before = record.prompt or _before(turn, remembers)
    for name, digest in prompt.items():
        if before.get(name, digest) != digest:
            _note(record, name)
    record.prompt = prompt


def _before(turn: Turn[Any, Any], remembers: bool) -> dict[str, str]:
    """Return the prompt digests of this agent's last turn that called a model.

    If the history was cut since that turn, add "history" to the record's `prompt_changes`.
    """
    record = turn.record
    past = turn.past if remembers else ()
    known = next((one for one in reversed(past) if one.prompt and one.agent == record.agent), None)
    if known is None:
        return {}
    if known.history_start not in (0, record.history_start):
        _note(record, "history")
    return known.prompt


def _note(record: TurnRecord, name: str) -> None:
    if name not in record.prompt_changes:
        record.prompt_changes.append(name)


def _instructions(parameters: Any) -> str:
    """Return the instructions that change the beginning of the request when they change.

    Parts with an id and `on_change="append"` are left out: PydanticAI keeps their first text at the beginning of the
    request, and appends the changed text at the end.
    """
    parts = parameters.instruction_parts or ()
    return "\n\n".join(part.content for part in parts if part.on_change != "append" or part.id is None)


def _tools(parameters: Any) -> str:
    # Compare only the names of the tools: their schemas change with a release of the agent, not between turns.
    return " ".join(tool.name for tool in (*parameters.function_tools, *parameters.output_tools))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()
