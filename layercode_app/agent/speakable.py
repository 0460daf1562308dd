"""Make a model's text speakable while it streams: `VoiceAgent(speakable=Speakable(numbers=True))`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as with_changes
from functools import cache
from typing import TYPE_CHECKING

from ..blank import is_blank
from ..exceptions import DeveloperError
from .markdown_filter import MarkdownFilter
from .think_tags import ThinkTags

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

    from .pronunciation.filter import Lexicon

LANGUAGES = {"en": False, "en-US": False, "en-GB": True}
"""The languages for number words. The value is True if the day comes first in a date: 3/5 is the third of May."""
_PIECE = 40
"""A text is filtered in pieces of this many characters until something can be spoken."""
_REPLACE = '{"LayerCode": "layer code"}'


class Speakable:
    """The filter of a model's text: call `feed` with each piece of a response, and `flush` at its end.

    Reasoning between tags such as `<think>`, markdown, emoji and link syntax are removed. An ordinary word is returned
    at once. A markdown character, the beginning of a tag or, with `numbers`, a number is held back only until the next
    characters show what it is.

    Args:
        numbers: Whether numbers, money, dates, times, units, telephone numbers, addresses and abbreviations are said as
            words. This needs the extra `layercode-app[speech]`.
        language: The language of these words: "en" (or "en-US"), where 3/5 is the fifth of March, or "en-GB", where it
            is the third of May.
        replace: Words to replace, with what to say instead: `{"LayerCode": "layer code"}`. Case matters, and only whole
            words are replaced.

    Raises DeveloperError for an argument of the wrong type.

    """

    def __init__(
        self, *, numbers: bool = False, language: str = "en", replace: Mapping[str, str] | None = None
    ) -> None:
        _check(numbers, language, replace)
        self._prepare(_lexicon(numbers, LANGUAGES[language], tuple((replace or {}).items())))

    def _prepare(self, lexicon: Lexicon | None) -> None:
        self._lexicon = lexicon
        self._tags = ThinkTags()
        self._markdown = MarkdownFilter()
        self._words = None
        if lexicon is not None:
            from .pronunciation.filter import Pronouncer

            self._words = Pronouncer(lexicon)

    def fresh(self) -> Speakable:
        """Return a filter with the same options for another response."""
        other = Speakable.__new__(type(self))
        other._prepare(self._lexicon)
        return other

    def feed(self, piece: str) -> str:
        """Filter the next piece. Return the text that can be spoken now."""
        text = self._markdown.feed(self._tags.feed(piece))
        return text if self._words is None else self._words.feed(text)

    def release(self) -> str:
        """Return the text that was held back. If reasoning is not closed yet, the next piece continues it."""
        return self._end(self._tags.release())

    def flush(self) -> str:
        """Return the text that was held back. The next piece counts as the start of a response."""
        return self._end(self._tags.flush())

    def _is_silent(self, text: str) -> bool:
        """Return whether nothing of a whole text can be spoken."""
        other = self.fresh()
        pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
        return all(is_blank(other.feed(piece)) for piece in pieces) and is_blank(other.flush())

    def _end(self, text: str) -> str:
        text = self._markdown.feed(text) + self._markdown.flush()
        return text if self._words is None else self._words.feed(text) + self._words.flush()


@cache
def _lexicon(numbers: bool, day_first: bool, replace: tuple[tuple[str, str], ...]) -> Lexicon | None:
    """Return the kinds of tokens that are replaced with words, or None if there are none."""
    if not numbers and not replace:
        return None
    from .pronunciation.filter import KINDS, Lexicon, replacements

    if numbers:
        from ..spoken.numbers import need_number_words

        # Import the number library here, when the agent is created, and not in a turn.
        need_number_words()
    return Lexicon([*replacements(dict(replace)), *(KINDS if numbers else [])], day_first=day_first)


def _check(numbers: object, language: object, replace: object) -> None:
    if not isinstance(numbers, bool):
        raise DeveloperError(f"Speakable numbers={numbers!r}: expected True or False.")
    if not isinstance(language, str) or language not in LANGUAGES:
        raise DeveloperError(f"Speakable language={language!r}: expected one of {', '.join(LANGUAGES)}.")
    if replace is not None and not isinstance(replace, Mapping):
        raise DeveloperError(f"Speakable replace={replace!r}: expected a dictionary, such as {_REPLACE}.")
    for key, value in (replace or {}).items():
        if not isinstance(key, str) or not isinstance(value, str) or not key.strip():
            raise DeveloperError(
                f"Speakable replace contains {key!r}: {value!r}. Both must be texts, and the first must not be blank. "
                f"Example: replace={_REPLACE}."
            )


def speakable_of(given: bool | Speakable) -> Speakable | None:
    """Return the filter for VoiceAgent's argument `speakable`, or None. Raises DeveloperError for another value."""
    if isinstance(given, Speakable):
        return given
    if not isinstance(given, bool):
        raise DeveloperError(
            f"VoiceAgent speakable={given!r}: expected True, False or Speakable(...), such as Speakable(numbers=True)."
        )
    return Speakable() if given else None


def without_silent_text(response: ModelResponse, speakable: Speakable) -> ModelResponse:
    """Remove the text of a response if nothing of it can be spoken, such as an emoji alone.

    PydanticAI then asks the model again, as after a response with blank text.
    """
    texts = [part.content for part in response.parts if part.part_kind == "text"]
    if not texts or not speakable._is_silent("".join(texts)):
        return response
    emptied = [with_changes(part, content="") if part.part_kind == "text" else part for part in response.parts]
    # Keep an item with an id, because the provider expects to get back each item that it sent.
    return with_changes(response, parts=[part for part in emptied if part.part_kind != "text" or part.id is not None])
