"""Messages in a form that every provider accepts: words, tool calls and results, without a provider's ids.

A provider refuses ids and signatures whose surroundings changed: OpenAI a function call without its reasoning item,
Anthropic thinking that was moved. What was heard of a turn, a budget of tokens and a fallback model all change them.
Providers ask for the reasoning of the current turn only, and PydanticAI's run sends that itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .blank import is_blank

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse

_SIGNED = ("anthropic", "bedrock")
"""Providers whose reasoning is signed by itself, with no id that other parts refer to."""
_WORDS = {"user-prompt": "[The caller said nothing.]", "tool-return": "(no output)"}
"""Stand in place of a blank part of a request."""


def portable(message: ModelMessage) -> ModelMessage:
    """Copy a message of an earlier turn without what only its provider can check, and without blank texts.

    Reasoning, native tools and files go. Signed reasoning before a tool call stays here: Anthropic asks for it where
    the turn ended with that call.
    """
    return _with_words(message) if message.kind == "request" else _portable_response(message)


def _portable_response(response: ModelResponse) -> ModelResponse:
    # A call in a response that was cut never ran, and its arguments may be half there.
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
    return [_without(message, lambda part: part.part_kind == "thinking") for message in messages]


def sendable(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The messages of a run without what its own provider refuses: blank texts, and a response of reasoning alone.

    A text with an id stays: OpenAI accepts it blank, and asks for it behind its reasoning.
    """
    kept = [message for message in messages if message.kind == "request" or not _says_nothing(message)]
    return [
        _with_words(message)
        if message.kind == "request"
        else _without(message, lambda part: _is_blank_text(part) and not part.id)
        for message in kept
    ]


def _says_nothing(response: ModelResponse) -> bool:
    """Whether a response is reasoning, and nothing that was said or called; a suspended one is still going on."""
    return response.state != "suspended" and all(
        part.part_kind == "thinking" or _is_blank_text(part) for part in response.parts
    )


def _is_blank_text(part: Any) -> bool:
    return part.part_kind == "text" and is_blank(part.content)


def _without(message: ModelMessage, unwanted: Callable[[Any], bool]) -> ModelMessage:
    """The response without some of its parts; a request as it is."""
    if message.kind == "request" or not any(map(unwanted, message.parts)):
        return message
    return replace(message, parts=[part for part in message.parts if not unwanted(part)])


def _with_words(request: ModelRequest) -> ModelRequest:
    """The request with a word for each blank prompt and result."""
    if not any(map(_is_wordless, request.parts)):
        return request
    parts: list[Any] = [_with_word(part) if _is_wordless(part) else part for part in request.parts]
    return replace(request, parts=parts)


def _with_word(part: Any) -> Any:
    return replace(part, content=_WORDS[part.part_kind])


def _is_wordless(part: Any) -> bool:
    return part.part_kind in _WORDS and isinstance(part.content, str) and is_blank(part.content)
