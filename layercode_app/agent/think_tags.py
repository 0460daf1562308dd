"""Remove reasoning from a model's text while the text streams. Reasoning is text between `<think>` or similar tags.

Text without such tags is unchanged. Characters that may begin a tag are held back only until the next characters show
whether they do. So no word is delayed, and the size of the pieces does not change the result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..blank import is_blank

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse, ModelResponsePart

NAMES = (
    *("think", "thinking", "thought", "thoughts", "reason", "reasoning", "reflection", "scratchpad"),
    *("inner_monologue", "internal_monologue", "antml:thinking"),
)
"""The names of the tags. Case is ignored."""
MOST_ATTRIBUTES = 200
"""The maximum number of characters of attributes in a tag; a longer tag is text."""

_MARK = re.compile(r"[<\[\u25c1&]")
"""The characters that may begin a tag."""
_NAME = "|".join(sorted(NAMES, key=len, reverse=True))
_REST = rf"(?:\s[^<>]{{0,{MOST_ATTRIBUTES}}})?/?"
# Some models put spaces or bars inside the brackets, or write the brackets as HTML entities.
_OPEN = r"(?:<\|?|&lt;)\s{0,3}"
_CLOSE = r"(?:\|?>|&gt;)"
# Mistral writes `[THINK]`, and Kimi writes `◁think▷`.
_TAG = re.compile(
    rf"{_OPEN}(?P<end>/?)\s{{0,3}}(?:{_NAME}){_REST}{_CLOSE}|\[(?P<end2>/?)THINK\]|\u25c1(?P<end3>/?)think\u25b7",
    re.IGNORECASE,
)
_BEGUN = re.compile(rf"{_OPEN}/?\s{{0,3}}(?:{_NAME}){_REST}(?:\||&|&g|&gt)?", re.IGNORECASE)
_NAME_BEGUN = re.compile(rf"{_OPEN}/?\s{{0,3}}(?P<name>\S*)")
_WHOLE = ["&lt;", "[think]", "[/think]", "\u25c1think\u25b7", "\u25c1/think\u25b7"]


class ThinkTags:
    """A filter that removes reasoning from one response. Call `feed` with each piece, and `flush` at the end."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._cut = False
        """Whether reasoning was removed just before the current position."""
        self._last = " "
        """The last character that was returned."""
        self._thoughts: list[str] = []

    @property
    def thoughts(self) -> str:
        """The reasoning so far."""
        return "".join(self._thoughts)

    def feed(self, piece: str) -> str:
        """Filter the next piece. Return the text that is not reasoning and can be spoken now."""
        if not (self._inside or self._held or self._cut or _MARK.search(piece)):
            self._last = piece[-1:] or self._last
            return piece
        text, self._held = self._held + piece, ""
        spoken: list[str] = []
        start = 0
        while (mark := _MARK.search(text, start)) is not None:
            self._take(text[start : mark.start()], spoken)
            if (tag := _TAG.match(text, mark.start())) is not None:
                self._inside = not any(tag.groups()) and not tag[0].endswith(("/>", "/&gt;"))
                self._cut = True
                start = tag.end()
            elif _may_become_tag(text[mark.start() :]):
                self._held = text[mark.start() :]
                return "".join(spoken)
            else:
                self._take(mark[0], spoken)
                start = mark.end()
        self._take(text[start:], spoken)
        return "".join(spoken)

    def release(self) -> str:
        """Return the text that was held back. Reasoning whose tag is not closed yet continues in the next piece."""
        spoken: list[str] = []
        self._take(self._held, spoken)
        self._held = ""
        return "".join(spoken)

    def flush(self) -> str:
        """End the response, and return the text that was held back. Reasoning whose tag is not closed ends here."""
        text = self.release()
        self._inside = False
        return text

    def _take(self, text: str, spoken: list[str]) -> None:
        if self._inside:
            self._thoughts.append(text)
        elif text:
            # Without a space, the words before and after the reasoning would be read as one.
            if self._cut and not (self._last.isspace() or text[0].isspace()):
                spoken.append(" ")
            spoken.append(text)
            self._cut, self._last = False, text[-1]


def _may_become_tag(text: str) -> bool:
    """Return whether more characters after this text could turn it into a complete tag."""
    lower = text.lower()
    begun = _NAME_BEGUN.fullmatch(lower)
    if begun is not None and any(name.startswith(begun["name"]) for name in NAMES):
        return True
    return any(whole.startswith(lower) for whole in _WHOLE) or _BEGUN.fullmatch(text) is not None


def without_thoughts(response: ModelResponse) -> ModelResponse:
    """Move tagged reasoning into separate thinking parts, and remove blank text, which some providers refuse."""
    from pydantic_ai.messages import TextPart

    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    if not any(is_blank(text) or _MARK.search(text) for text in texts):
        return response
    return replace(response, parts=_cleaned(response.parts))


def _cleaned(parts: Sequence[ModelResponsePart]) -> list[ModelResponsePart]:
    from pydantic_ai.messages import TextPart, ThinkingPart

    tags = ThinkTags()
    last = max(index for index, part in enumerate(parts) if isinstance(part, TextPart))
    cleaned: list[ModelResponsePart] = []
    for index, part in enumerate(parts):
        if not isinstance(part, TextPart):
            cleaned.append(part)
            continue
        known = len(tags.thoughts)
        text = tags.feed(part.content) + (tags.flush() if index == last else "")
        if thoughts := tags.thoughts[known:].strip():
            cleaned.append(ThinkingPart(thoughts))
        if not is_blank(text):
            cleaned.append(part if text == part.content else replace(part, content=text))
        elif part.id is not None:
            # Keep an item with an id even if its text is blank, because the provider expects to get back each item that
            # it sent. PydanticAI then sends the item without text.
            cleaned.append(replace(part, content=""))
    return cleaned
