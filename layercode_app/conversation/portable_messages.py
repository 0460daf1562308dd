"""Convert messages to a form that every provider accepts: text, tool calls and results, without a provider's ids.

A provider refuses ids and signatures if the messages around them changed. For example, OpenAI refuses a function call
without its reasoning item, and Anthropic refuses thinking that was moved. Messages change when a reply is cut to what
was heard, when the history is trimmed to a token budget, and when a fallback model takes over. Providers need the
reasoning of the current turn only, and PydanticAI's run sends that itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..blank import is_blank

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse

_SIGNED = ("anthropic", "bedrock")
"""Providers that sign their reasoning. They do not give it an id, so no other part refers to it."""
_WORDS = {"user-prompt": "[The caller said nothing.]", "tool-return": "(no output)"}
"""Placeholders for blank parts of a request, by the kind of part."""


def portable(message: ModelMessage) -> ModelMessage:
    """Copy a message of an earlier turn without provider-specific data and without blank texts.

    Reasoning, native tools and files are removed, with one exception: signed reasoning in a response with tool calls is
    kept. If a turn ends with such a response, Anthropic requires the reasoning. If the turn ends with a response
    without tool calls, no reasoning is required, and `without_reasoning` later removes all reasoning of the turn.
    """
    return _with_words(message) if message.kind == "request" else _portable_response(message)


def _portable_response(response: ModelResponse) -> ModelResponse:
    # A tool call in an interrupted response never ran, and its arguments may be incomplete.
    called = response.state != "interrupted" and any(part.part_kind == "tool-call" for part in response.parts)
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
    """Return the part in its portable form, or None to drop it.

    `called` tells whether the response that contains this part has tool calls.
    """
    if part.part_kind == "text":
        return None if is_blank(part.content) else type(part)(part.content)
    if part.part_kind == "tool-call":
        return replace(part, id=None, provider_name=None, provider_details=None) if called else None
    signed = part.part_kind == "thinking" and part.signature and part.provider_name in _SIGNED
    return part if called and signed else None


def without_reasoning(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Remove the reasoning from a turn's portable messages, unless the turn's last response called tools."""
    responses = [message for message in messages if message.kind == "response"]
    if responses and any(part.part_kind == "tool-call" for part in responses[-1].parts):
        return messages
    return [_without(message, lambda part: part.part_kind == "thinking") for message in messages]


def sendable(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return the messages of a run in a form that providers accept.

    Providers refuse blank texts, and responses that contain only reasoning. In a request, a placeholder replaces a
    blank prompt or a blank tool result. A response that contains only reasoning and blank texts is removed, unless it
    is suspended. From any other response, the blank texts without an id are removed. A blank text with an id stays:
    OpenAI accepts such a text, and requires it after the reasoning that belongs to it.
    """
    kept = [message for message in messages if message.kind == "request" or not _says_nothing(message)]
    return [
        _with_words(message)
        if message.kind == "request"
        else _without(message, lambda part: _is_blank_text(part) and not part.id)
        for message in kept
    ]


def _says_nothing(response: ModelResponse) -> bool:
    """Return whether a response has only reasoning and blank text. Return False if it is suspended: more may follow."""
    return response.state != "suspended" and all(
        part.part_kind == "thinking" or _is_blank_text(part) for part in response.parts
    )


def _is_blank_text(part: Any) -> bool:
    return part.part_kind == "text" and is_blank(part.content)


def _without(message: ModelMessage, unwanted: Callable[[Any], bool]) -> ModelMessage:
    """Return a response without its unwanted parts; return a request unchanged."""
    if message.kind == "request" or not any(map(unwanted, message.parts)):
        return message
    return replace(message, parts=[part for part in message.parts if not unwanted(part)])


def _with_words(request: ModelRequest) -> ModelRequest:
    """Return the request with a placeholder for each blank prompt and each blank tool result.

    If a prompt is a list, only its blank items are removed; it gets the placeholder if no item is left.
    """
    if not any(map(_has_blank, request.parts)):
        return request
    parts: list[Any] = [_with_word(part) if _has_blank(part) else part for part in request.parts]
    return replace(request, parts=parts)


def _with_word(part: Any) -> Any:
    left = [] if isinstance(part.content, str) else [item for item in part.content if not _is_blank_item(item)]
    return replace(part, content=left or _WORDS[part.part_kind])


def _has_blank(part: Any) -> bool:
    """Return whether a part is a blank prompt, a blank tool result, or a list prompt with a blank text in the list."""
    if part.part_kind not in _WORDS:
        return False
    listed = part.part_kind == "user-prompt" and not isinstance(part.content, str)
    return any(map(_is_blank_item, part.content if listed else [part.content]))


def _is_blank_item(item: Any) -> bool:
    """Return whether an item of the content is a blank text, either a string or PydanticAI's `TextContent`."""
    text = item.content if getattr(item, "kind", "") == "text-content" else item
    return isinstance(text, str) and is_blank(text)
