"""Postal addresses: "twelve mill lane, second floor, springfield"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.letters import with_example_words
from ..spoken.numbers import cardinal as said
from ..spoken.numbers import digits as said_digits
from ..spoken.numbers import ordinal
from .toolset import Collector
from .understood import Incomplete, Result, Unclear, Understood
from .words import ORDINALS, TENS, cardinal, digits, doubtful, split, without

STREETS = {
    *(
        "street",
        "st",
        "road",
        "rd",
        "lane",
        "avenue",
        "ave",
        "drive",
        "boulevard",
        "court",
        "place",
        "square",
        "way",
        "terrace",
    ),
    *(
        "close",
        "crescent",
        "highway",
        "parkway",
        "row",
        "alley",
        "walk",
        "hill",
        "gardens",
        "mews",
        "circle",
        "trail",
        "broadway",
    ),
}
UNITS = {"apartment", "apt", "flat", "floor", "suite", "unit", "room", "number"}
LEAD = {"it's", "its", "it", "is", "my", "the", "address", "i", "live", "at", "i'm", "on", "we", "are", "deliver", "to", "that's",
        "send", "no", "actually", "sorry", "would", "be"}  # fmt: skip
AGAIN = "I did not get an address. What are the house number and the street?"


def understand(heard: str) -> Result[str]:
    """Return the address that was heard, or a question for the caller.

    The address has number and street, then the other parts, separated by commas.
    """
    text = re.sub(r"(?<=\d)(?=[a-zA-Z]\b)", " ", heard)
    tokens = without(split(text), LEAD)
    if doubtful(tokens):
        return Unclear("I heard more than one address. What are the house number and the street?")
    street_end = _street_end(tokens)
    number = _house_number(tokens)
    if number is None:
        known = street_end is not None and 1 < street_end <= 5
        return Incomplete("What is the house number?") if known else Unclear(AGAIN)
    if street_end is None or street_end <= number[1]:
        return (
            Incomplete("I have {so_far} so far. What street is that?")
            if len(tokens) <= number[1] + 1
            else Unclear(AGAIN)
        )
    street = " ".join([number[0], *map(_title, _numbered(tokens[number[1] : street_end]))])
    return Understood(", ".join([street, *_parts(tokens[street_end:])]))


def _house_number(tokens: Sequence[str]) -> tuple[str, int] | None:
    """Read the house number at the start: "twelve", "two twenty one b". Return it and the index after it, or None."""
    ordinals = [
        at for at, word in enumerate(tokens) if at and 0 < ORDINALS.get(word, 0) < 10 and tokens[at - 1] in TENS
    ]
    tokens = tokens[: ordinals[0] - 1] if ordinals else tokens  # the street of "five forty second street" has a number
    read, whole = digits(tokens), cardinal(tokens)
    if whole and (read is None or whole[1] >= read[1]):
        text, at = str(whole[0]), whole[1]
    elif read:
        text, at = read
    else:
        return None
    if at < len(tokens) and re.fullmatch("[a-h]", tokens[at]):
        return text + tokens[at].upper(), at + 1
    return text, at


def _street_end(tokens: Sequence[str]) -> int | None:
    """Return the index after the word that ends the street's name, such as "lane"; None if there is no such word."""
    return next((at + 1 for at, word in enumerate(tokens) if at > 0 and word in STREETS), None)


def _numbered(tokens: Sequence[str]) -> list[str]:
    """Write the number of a numbered street in digits: "forty second" is "42nd"."""
    text = " ".join(tokens)
    for ten, value in TENS.items():
        for word, one in ORDINALS.items():
            if one < 10:
                text = re.sub(rf"\b{ten} {word}\b", _place(value + one), text)
    for word, number in ORDINALS.items():
        text = re.sub(rf"\b{word}\b(?= (?:street|avenue|road))", _place(number), text)
    return text.split()


def _place(number: int) -> str:
    suffix = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _parts(tokens: Sequence[str]) -> list[str]:
    """Return the parts after the street: the flat or floor, then the town and postcode as one text."""
    parts: list[str] = []
    town: list[str] = []
    at = 0
    while at < len(tokens):
        more = tokens[at + 1] if at + 1 < len(tokens) else ""
        if tokens[at] in UNITS and (read := digits(tokens, at + 1)):
            letter = tokens[read[1] : read[1] + 1]
            suffix = letter[0].upper() if letter and re.fullmatch("[a-h]", letter[0]) else ""
            parts.append(f"{_title(tokens[at])} {read[0]}{suffix}")
            at = read[1] + bool(suffix)
        elif more == "floor":
            parts.append(f"{tokens[at]} floor")
            at += 2
        elif (read := digits(tokens, at)) and len(read[0]) >= 4:
            town.append(read[0])
            at = read[1]
        else:
            town += [] if tokens[at] in ("in", ",") else [_title(tokens[at])]
            at += 1
    return [*parts, " ".join(town)] if town else parts


def _title(word: str) -> str:
    return word if word[:1].isdigit() else word[:1].upper() + word[1:]


def say(value: str) -> str:
    """Return the words with which the agent repeats an address: short numbers as numbers, long ones digit by digit."""
    text = re.sub(r"\b(\d+)(?:st|nd|rd|th)\b", lambda match: ordinal(int(match[1])), value)
    text = re.sub(r"\b(\d+)([A-Z])\b", r"\1 \2", text)
    return re.sub(r"\d+", lambda match: _number(match[0]), text)


def _number(text: str) -> str:
    return said(int(text)) if len(text) < 3 and text[0] != "0" else said_digits(text)


def spell(value: str) -> str:
    """Spell each word of an address with a spelling alphabet, such as "A as in Alpha"."""
    return "; ".join(with_example_words(word) for word in value.replace(",", "").split())


class Address(Collector[str]):
    """Collects a postal address: house number and street first, then flat, floor, town and postcode."""

    label: ClassVar[str] = "address"
    spells = True
    fixes = True

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[str]:
        """Return the address that was heard, or a question for the caller."""
        return understand(heard)

    def say(self, value: str) -> str:
        """Return the words with which the agent repeats an address."""
        return say(value)

    def spell(self, value: str) -> str:
        """Spell an address with example words."""
        return spell(value)

    def from_json(self, kept: Any) -> str:
        """Return the address from its JSON in the journal."""
        return str(kept)
