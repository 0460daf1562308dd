"""Make the ids of tool calls unique within a history and valid for every provider."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

_NOT_IN_IDS = re.compile("[^a-zA-Z0-9_-]")


def with_unique_ids(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return the messages with a unique id for each tool call, in characters that all providers accept.

    Some servers restart the ids in each response, or write `functions.order:0`; Anthropic refuses both.
    """
    used: set[str] = set()
    renamed: dict[str, str] = {}
    result: list[ModelMessage] = []
    for message in messages:
        if message.kind == "response":
            renamed = _new_ids([part.tool_call_id for part in message.parts if part.part_kind == "tool-call"], used)
        result.append(_with_ids(message, renamed) if renamed else message)
    return result


def _new_ids(ids: Sequence[str], used: set[str]) -> dict[str, str]:
    """Return replacements for the ids that are invalid or already used; add all resulting ids to `used`."""
    renamed: dict[str, str] = {}
    for own in ids:
        plain = chosen = _NOT_IN_IDS.sub("_", own)
        number = 1
        while chosen in used:
            number += 1
            chosen = f"{plain}-{number}"
        used.add(chosen)
        if chosen != own:
            renamed[own] = chosen
    return renamed


def _with_ids(message: ModelMessage, renamed: dict[str, str]) -> ModelMessage:
    parts: list[Any] = [
        replace(part, tool_call_id=renamed[part.tool_call_id])
        if part.part_kind in ("tool-call", "tool-return") and part.tool_call_id in renamed
        else part
        for part in message.parts
    ]
    changed: Any = message
    return replace(changed, parts=parts)  # type: ignore[no-any-return]
