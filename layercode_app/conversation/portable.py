"""Responses of earlier turns in a form that every provider accepts: words and tool calls, without a provider's ids.

A provider refuses ids and signatures whose surroundings changed: OpenAI a function call without its reasoning item,
Anthropic thinking that was moved. What was heard of a turn, a budget of tokens and a fallback model all change them.
Providers ask for the reasoning of the current turn only, and PydanticAI's run sends that itself.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

_WORDLESS = re.compile("[\\s\u200b-\u200d\u2060\ufeff]*")
"""White space, and characters without width."""
_SIGNED = ("anthropic", "bedrock")
"""Providers whose reasoning is signed by itself, with no id that other parts refer to."""


def is_blank(text: str) -> bool:
    """Whether a text has no character to speak; Anthropic refuses such a block of text."""
    return _WORDLESS.fullmatch(text) is not None


def portable(response: ModelResponse) -> ModelResponse:
    """Copy a response without reasoning, native tools, files, blank texts and everything only its provider can check.

    Signed reasoning before a tool call stays here: Anthropic asks for it where the turn ended with that call.
    """
    from pydantic_ai.messages import ToolCallPart

    # A call in a response that was cut never ran, and its arguments may be half there.
    called = response.state != "interrupted" and any(isinstance(part, ToolCallPart) for part in response.parts)
    parts = [kept for part in response.parts if (kept := _portable_part(part, called)) is not None]
    return replace(
        response,
        parts=parts,
        provider_name=None,
        provider_url=None,
        provider_details=None,
        provider_response_id=None,
        history_digest=None,
    )


def _portable_part(part: Any, called: bool) -> Any:
    """The part as it is sent to any provider, or None; `called` is whether its response called tools."""
    if part.part_kind == "text":
        return None if is_blank(part.content) else type(part)(part.content)
    if part.part_kind == "tool-call":
        return replace(part, id=None, provider_name=None, provider_details=None) if called else None
    signed = part.part_kind == "thinking" and part.signature and part.provider_name in _SIGNED
    return part if called and signed else None


def without_reasoning(messages: list[ModelMessage]) -> list[ModelMessage]:
    """The portable messages of a turn without reasoning, unless the turn ended between two tool calls."""
    responses = [message for message in messages if message.kind == "response"]
    if responses and any(part.part_kind == "tool-call" for part in responses[-1].parts):
        return messages
    return [_without_reasoning(message) for message in messages]


def _without_reasoning(message: ModelMessage) -> ModelMessage:
    if message.kind != "response" or all(part.part_kind != "thinking" for part in message.parts):
        return message
    return replace(message, parts=[part for part in message.parts if part.part_kind != "thinking"])
