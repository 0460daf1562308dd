"""Numbers: "two and a half", "a dozen", "one hundred and five"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.numbers import quantity
from .toolset import Collector
from .understood import Result, Unclear, Understood
from .words import cardinal, decimal, doubtful, split, without

LEAD = {"it's", "its", "is", "about", "around", "roughly", "make", "it", "we", "are", "we're", "for", "of", "party", "a", "table",
        "there", "will", "be", "i", "need", "want", "take", "i'd", "i'll", "have", "that's", "the", "number", "just", "only",
        "no", "actually", "sorry", "would", "us"}  # fmt: skip
TRAIL = {
    "people",
    "persons",
    "person",
    "guests",
    "of",
    "them",
    "us",
    "pieces",
    "altogether",
    "total",
    "in",
    "all",
    "then",
}
NAMED = {"none": 0, "nothing": 0, "couple": 2, "pair": 2, "dozen": 12}
FRACTIONS = {"half": Decimal("0.5"), "quarter": Decimal("0.25"), "quarters": Decimal("0.25")}
AGAIN = "I did not get a number. How many is it?"


def understand(
    heard: str, *, least: Decimal | None = None, most: Decimal | None = None, whole: bool = False
) -> Result[Decimal]:
    """Return the number that was heard, or a question for the caller.

    A number outside the limits leads to a question. With `whole`, a number with a fraction leads to a question too.
    """
    tokens = split(heard)
    if doubtful(tokens):
        return Unclear("I heard more than one number. Which one is it?")
    if re.search(r"\bno one\b", heard.lower()):  # either none, or a correction: "no, one"
        return Unclear(AGAIN)
    value = _whole_phrase(_trimmed(tokens))
    if value is None:
        return Unclear(AGAIN)
    if whole and value % 1:
        return Unclear("That must be a whole number. How many is it?")
    if least is not None and value < least:
        return Unclear(f"It must be at least {quantity(least)}. How many is it?")
    if most is not None and value > most:
        return Unclear(f"It can be {quantity(most)} at most. How many is it?")
    return Understood(value)


def _trimmed(tokens: Sequence[str]) -> list[str]:
    """Drop words around the number, but not the "a" of "a dozen"."""
    return without(tokens, LEAD, TRAIL)


def _whole_phrase(tokens: Sequence[str]) -> Decimal | None:
    """Return the number if all of the words together form one number, else None."""
    if tokens[:1] in (["minus"], ["negative"], ["-"]):
        value = _whole_phrase(tokens[1:])
        return None if value is None else -value
    read = phrase(tokens)
    return read[0] if read and read[1] == len(tokens) else None


def phrase(tokens: Sequence[str], at: int = 0) -> tuple[Decimal, int] | None:
    """Read a number at index `at`. Return it and the index after it, or None if there is none."""
    word = tokens[at] if at < len(tokens) else ""
    if word in NAMED:
        return Decimal(NAMED[word]), at + 1
    if word in ("hundred", "thousand", "million"):  # "a hundred" without its "a"
        read = phrase(["one", *tokens[at:]])
        return None if read is None else (read[0], at + read[1] - 1)
    if word == "half":
        rest = at + 1 + (tokens[at + 1 : at + 2] == ["a"])
        if tokens[rest : rest + 1] == ["dozen"]:
            return Decimal(6), rest + 1
        if tokens[rest : rest + 1] == ["million"]:
            return Decimal(500_000), rest + 1
        return Decimal("0.5"), at + 1
    if word == "quarter":
        return Decimal("0.25"), at + 1
    if (whole := cardinal(tokens, at)) is None:
        return decimal(tokens, at)
    if (exact := decimal(tokens, at)) and exact[1] > whole[1]:
        return exact
    return _with_fraction(tokens, Decimal(whole[0]), whole[1])


def _with_fraction(tokens: Sequence[str], value: Decimal, at: int) -> tuple[Decimal, int]:
    rest = list(tokens[at : at + 3])
    if rest[:1] == ["dozen"]:
        return value * 12, at + 1
    if rest[:1] == ["quarters"] and value in (1, 2, 3):
        return value / 4, at + 1
    if rest[:1] == ["and"] and len(rest) >= 2:
        if rest[1] in FRACTIONS:
            return value + FRACTIONS[rest[1]], at + 2
        if len(rest) == 3 and rest[2] in FRACTIONS and (rest[1] == "a" or (small := cardinal(rest[1:2]))):
            return value + FRACTIONS[rest[2]] * (1 if rest[1] == "a" else small[0] if small else 1), at + 3
    return value, at


def say(value: Decimal) -> str:
    """Return the words with which the agent repeats a number."""
    return quantity(value)


class Number(Collector[Decimal]):
    """Collects a number from `least` to `most`, if these are given. `whole=True` accepts only whole numbers."""

    label: ClassVar[str] = "number"

    def __init__(
        self, field: str, *, least: float | None = None, most: float | None = None, whole: bool = False, **options: Any
    ) -> None:
        self._least = None if least is None else Decimal(str(least))
        self._most = None if most is None else Decimal(str(most))
        self._whole = whole
        super().__init__(field, **({"question": "How many?"} | options))

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[Decimal]:
        """Return the number that was heard, or a question for the caller."""
        return understand(heard, least=self._least, most=self._most, whole=self._whole)

    def say(self, value: Decimal) -> str:
        """Return the words with which the agent repeats a number."""
        return say(value)

    def from_json(self, kept: Any) -> Decimal:
        """Return the number from its JSON in the journal."""
        return Decimal(kept)
