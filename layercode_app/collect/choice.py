"""One of several options: "the second one", "large please"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from .toolset import Collector
from .understood import Result, Unclear, Understood
from .words import ORDINALS, doubtful, split

CLOSE = 0.82
"""Minimum similarity, from 0 to 1, between the caller's words and an option that the words do not name exactly."""


def understand(heard: str, *, options: Mapping[str, Sequence[str]]) -> Result[str]:
    """Return the option that was heard, or a question for the caller.

    `options` maps each name to other words for it.
    """
    tokens = split(heard)
    if doubtful(tokens) and not _exact(" ".join(tokens), options):
        return Unclear(question(options))
    found = _exact(" ".join(tokens), options) or _named(tokens, options) or _placed(tokens, list(options))
    found = found or _similar(tokens, options)
    return Understood(found.pop()) if len(found) == 1 else Unclear(question(options))


def question(options: Mapping[str, Sequence[str]]) -> str:
    """Return the question that names the options."""
    *most, last = options
    return f"Which one: {', '.join(most)} or {last}?" if most else f"Is it {last}?"


def _forms(name: str, aliases: Sequence[str]) -> list[str]:
    return [" ".join(split(form)) for form in (name, *aliases)]


def _exact(text: str, options: Mapping[str, Sequence[str]]) -> set[str]:
    return {name for name, aliases in options.items() if text in _forms(name, aliases)}


def _named(tokens: Sequence[str], options: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the options that occur in the words. If one found name contains another, only the longer one counts."""
    text = f" {' '.join(tokens)} "
    found = {name: form for name, aliases in options.items() for form in _forms(name, aliases) if f" {form} " in text}
    return {
        name for name, form in found.items() if not any(form != other and form in other for other in found.values())
    }


def _placed(tokens: Sequence[str], names: Sequence[str]) -> set[str]:
    """Return the options named by position: "the first one", "the last", "number two", "the middle one"."""
    text = " ".join(tokens)
    if re.search(r"\b(last|latter)\b", text):
        return {names[-1]}
    if re.search(r"\bmiddle\b", text) and len(names) % 2:
        return {names[len(names) // 2]}
    places = {word: place for word, place in ORDINALS.items() if word in tokens and place <= len(names)}
    if match := re.search(r"\b(?:number|option) (one|two|three|four|five|\d)\b", text):
        words = ("one", "two", "three", "four", "five")
        place = int(match[1]) if match[1].isdigit() else words.index(match[1]) + 1
        places[match[1]] = place
    if re.search(r"\bformer\b", text):
        places["former"] = 1
    return {names[place - 1] for place in places.values() if 0 < place <= len(names)}


def _similar(tokens: Sequence[str], options: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the options whose names are most similar to the words, if they are similar enough."""
    scores = {
        name: max(
            SequenceMatcher(None, form, " ".join(tokens[at : at + len(form.split())])).ratio()
            for form in _forms(name, aliases)
            for at in range(max(1, len(tokens) - len(form.split()) + 1))
        )
        for name, aliases in options.items()
    }
    best = max(scores.values(), default=0)
    return {name for name, score in scores.items() if score >= CLOSE and score > best - 0.1}


def say(value: str) -> str:
    """Return the words with which the agent repeats the option."""
    return value


class Choice(Collector[str]):
    """Collects one of several options. `options` are names, or a mapping from each name to other words for it."""

    label: ClassVar[str] = "choice"

    def __init__(self, field: str, options: Sequence[str] | Mapping[str, Sequence[str]], **more: Any) -> None:
        self._options = dict(options) if isinstance(options, Mapping) else dict.fromkeys(options, ())
        if isinstance(options, str) or not self._options:
            raise DeveloperError(f"Choice options={options!r}: expected names, such as ['small', 'large'].")
        super().__init__(field, **({"question": question(self._options)} | more))

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[str]:
        """Return the option that was heard, or a question for the caller."""
        return understand(heard, options=self._options)

    def say(self, value: str) -> str:
        """Return the words with which the agent repeats the option."""
        return say(value)

    def from_json(self, kept: Any) -> str:
        """Return the option from its JSON in the journal."""
        return str(kept)
