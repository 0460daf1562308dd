"""Make the ids of tool calls unique within a history and valid for every provider."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

_NOT_IN_IDS = re.compile("[^a-zA-Z0-9_-]")
_LONGEST = 40
"""The longest id that OpenAI's Chat Completions API accepts, in characters. The other providers accept 64 or more."""


def with_unique_ids(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return the messages with a unique id for each tool call, in characters that all providers accept.

    Some servers restart the ids in each response, write `functions.order:0`, or write ids with hundreds of characters.
    """
    used: set[str] = set()
    renamed: dict[str, list[str]] = {}
    results: dict[str, Iterator[str]] = {}
    result: list[ModelMessage] = []
    for message in messages:
        if message.kind == "response":
            renamed = _new_ids(_call_ids(message), used)
            results = _in_order(renamed)
            result.append(_with_ids(message, "tool-call", _in_order(renamed)) if renamed else message)
        else:
            result.append(_with_ids(message, "tool-return", results) if renamed else message)
    return result


def with_new_ids(response: ModelResponse, messages: Sequence[ModelMessage]) -> ModelResponse:
    """Return the response with a new id for each tool call whose id is already used.

    An id is used if a tool call in `messages`, or an earlier tool call of the response, has it. PydanticAI fails if
    two tool calls of one response have the same id. Other ids stay as they are, because some servers read their own ids
    in the next request.
    """
    ids = _call_ids(response)
    if not ids:
        return response
    used = {call_id for message in messages if message.kind == "response" for call_id in _call_ids(message)}
    if len(set(ids)) == len(ids) and used.isdisjoint(ids):
        return response
    chosen: dict[str, list[str]] = {}
    for own in ids:
        chosen.setdefault(own, []).append(_unused(own, used))
    renamed: ModelResponse = _with_ids(response, "tool-call", _in_order(chosen))
    return renamed


def _call_ids(response: ModelResponse) -> list[str]:
    return [part.tool_call_id for part in response.parts if part.part_kind == "tool-call"]


def _new_ids(ids: Sequence[str], used: set[str]) -> dict[str, list[str]]:
    """Choose a new id for each tool call. Return the new ids in lists, by the old ids.

    `ids` are the old ids of the tool calls. Several tool calls may have the same old id. The list of this id contains
    one new id for each of these calls, in their order. Return {} if no id has to change. All new ids are added to
    `used`.
    """
    chosen: dict[str, list[str]] = {}
    changed = False
    for own in ids:
        new = _unused(_NOT_IN_IDS.sub("_", own)[:_LONGEST] or "call", used)
        chosen.setdefault(own, []).append(new)
        changed = changed or new != own
    return chosen if changed else {}


def _unused(call_id: str, used: set[str]) -> str:
    """Return the id, with a number if it is already used; add the result to `used`."""
    chosen, number = call_id, 1
    while chosen in used:
        number += 1
        chosen = f"{call_id[: _LONGEST - len(f'-{number}')]}-{number}"
    used.add(chosen)
    return chosen


def _in_order(ids: Mapping[str, Sequence[str]]) -> dict[str, Iterator[str]]:
    return {own: iter(new) for own, new in ids.items()}


def _with_ids(message: Any, kind: str, ids: Mapping[str, Iterator[str]]) -> Any:
    """Return the message with new tool call ids in its parts of this kind. `ids` yields the new ids of each old id."""
    parts = [
        replace(part, tool_call_id=next(ids[part.tool_call_id], part.tool_call_id))
        if part.part_kind == kind and part.tool_call_id in ids
        else part
        for part in message.parts
    ]
    return replace(message, parts=parts)
