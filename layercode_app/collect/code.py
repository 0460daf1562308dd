"""Codes such as order numbers: "a b four double two", "bravo as in bravo, dash, nine"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.letters import spelled, with_example_words
from .spelling import letter
from .toolset import Collector
from .understood import Incomplete, Result, Unclear, Understood
from .words import NOISE, ambiguous_hundreds, digits, doubtful, split

SIGNS = {"dash": "-", "hyphen": "-", "minus": "-", "-": "-", "slash": "/", "/": "/", "dot": ".", ".": ".", "underscore": "_",
         "_": "_", "hash": "#", "#": "#"}  # fmt: skip
LEAD = {"it's", "its", "it", "is", "my", "the", "order", "number", "code", "reference", "booking", "confirmation", "that's",
        "starts", "with", "then", "and", "would", "be", "ticket", "customer", "actually", "no", "sorry", "account", "id",
        "i", "have", "here", "says", "space"}  # fmt: skip
AGAIN = "I did not get the code. Please say it letter by letter and digit by digit."
_ENDINGS = (
    *(unit * count for unit in ("0", "A", "A0") for count in range(1, 13)),
    *("A" + "0" * count for count in range(1, 13)),
)
"""Sample endings. If a text followed by one of them fits the pattern, the text may be the beginning of a code."""


def understand(heard: str, *, pattern: str = "[A-Z0-9]{3,20}") -> Result[str]:
    """Return the code that was heard, in capitals, or a question for the caller.

    Punctuation, such as dashes, is dropped if the code with its punctuation does not match `pattern`.
    """
    tokens = _tokens(heard)
    start = next((at for at in range(len(tokens)) if tokens[at] not in LEAD | NOISE), len(tokens))
    if doubtful(tokens[start:]):
        return Unclear("I heard more than one thing. Please say the whole code once more.")
    text = _written(tokens)
    if not text or ambiguous_hundreds(tokens):
        return Unclear(AGAIN)
    for form in (text, re.sub(r"[^A-Z0-9]", "", text)):
        if re.fullmatch(pattern, form):
            return Understood(form)
    plain = re.sub(r"[^A-Z0-9]", "", text)
    if any(re.fullmatch(pattern, plain + end) for end in _ENDINGS):
        return Incomplete("I have {so_far} so far. And the rest?")
    return Unclear(f"I heard {spelled(text)}, which is no complete code. Please say it once more.")


def written(heard: str) -> str:
    """Return the written form of a part of a code, such as "AB4" for "a b four".

    Return "" if `heard` contains a word that is neither a part of a code nor in LEAD or NOISE.
    """
    return _written(_tokens(heard))


def _tokens(heard: str) -> list[str]:
    return split(re.sub(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w+\b", _apart, heard))


def _apart(match: re.Match[str]) -> str:
    """Write a mixed word such as "ab42" as single letters and digits."""
    return " ".join(match[0])


def _written(tokens: Sequence[str]) -> str:
    """Return the characters of the code. Words in LEAD or NOISE are skipped; any other word makes the result ""."""
    text, at = "", 0
    while at < len(tokens):
        if tokens[at] in SIGNS:
            text, at = text + SIGNS[tokens[at]], at + 1
        elif read := _sign(tokens, at):
            text, at = text + read[0].upper(), read[1]
        elif tokens[at] in LEAD or tokens[at] in NOISE:
            at += 1
        else:
            return ""
    return text.strip("-")


def _sign(tokens: Sequence[str], at: int) -> tuple[str, int] | None:
    """Read digits or a letter at index `at`. Return the characters and the index after them, or None.

    "oh" next to digits is read as 0.
    """
    read = digits(tokens, at) if tokens[at] != "o" else None
    if read is None and tokens[at] == "o" and any(word.isdigit() for word in tokens[max(0, at - 1) : at + 2]):
        return "0", at + 1
    return read or letter(tokens, at, words=True, sounds=tokens[at] not in ("why", "see"))


def say(value: str) -> str:
    """Return the words with which the agent repeats a code character by character, in groups."""
    return spelled(value)


def spell(value: str) -> str:
    """Spell a code with example words."""
    return with_example_words(value)


class Code(Collector[str]):
    """Collects a code such as an order number, also in parts.

    `pattern` is a regular expression that the code, written in capitals, must match.
    """

    label: ClassVar[str] = "code"
    spells = True
    fixes = True

    def __init__(self, field: str, *, pattern: str = "[A-Z0-9]{3,20}", **options: Any) -> None:
        re.compile(pattern)
        self._pattern = pattern
        super().__init__(field, **options)

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[str]:
        """Return the code that was heard, or a question for the caller."""
        return understand(heard, pattern=self._pattern)

    def say(self, value: str) -> str:
        """Return the words with which the agent repeats a code character by character, in groups."""
        return say(value)

    def spell(self, value: str) -> str:
        """Spell a code with example words."""
        return spell(value)

    def part(self, heard: str) -> str:
        """Return a part of a code as it is written, such as "AB4" for "a b four"."""
        return written(heard)

    def say_part(self, heard: str) -> str:
        """Return the words with which the agent repeats the beginning of a code."""
        return spelled(written(heard))

    def from_json(self, kept: Any) -> str:
        """Return the code from its JSON in the journal."""
        return str(kept)
