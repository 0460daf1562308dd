"""Shorten long texts in the messages of earlier turns until they fit the token budget.

The store returns the newest turns that fit, but at least one turn, which may contain a tool result of a hundred pages.
No message or part is removed here, so every tool call keeps its result. Tool results are shortened first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..journal.tokens import CHARACTERS_PER_TOKEN, characters_of, text_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

STEPS = (8000, 4000, 2000, 1000, 500, 250)
"""The lengths in characters to which long texts are cut, tried in this order until the messages fit."""

Long = Callable[[Any], bool]


def fit(messages: Sequence[ModelMessage], tokens: int) -> list[ModelMessage]:
    """Return the messages with long texts shortened as far as the budget requires; the originals are not changed.

    No text is cut to less than the last length in `STEPS`. So if the messages contain very many texts, the result may
    still exceed the budget.
    """
    fitted = list(messages)
    for kind in (_is_result, _is_text):
        for length in STEPS:
            if characters_of(fitted) <= tokens * CHARACTERS_PER_TOKEN:
                return fitted
            fitted = [_shortened(message, kind, length) for message in fitted]
    return fitted


def _is_result(part: Any) -> bool:
    return part.part_kind in ("tool-return", "retry-prompt")


def _is_text(part: Any) -> bool:
    # A prompt that is a list holds images or files.
    return part.part_kind in ("user-prompt", "text") and isinstance(part.content, str)


def _shortened(message: ModelMessage, kind: Long, length: int) -> ModelMessage:
    parts: list[Any] = [_short(part, length) if kind(part) else part for part in message.parts]
    if all(new is old for new, old in zip(parts, message.parts, strict=True)):
        return message
    changed: Any = message
    return replace(changed, parts=parts)  # type: ignore[no-any-return]


def _short(part: Any, length: int) -> Any:
    text = text_of(part.content)
    if len(text) <= length + len(_note(len(text))):
        return part
    return replace(part, content=text[:length] + _note(len(text) - length))


def _note(characters: int) -> str:
    return f" [{characters} more characters were left out here]"
