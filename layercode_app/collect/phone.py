"""Telephone numbers: "four one five, double five five, oh one nine nine"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.extra import need
from ..spoken.numbers import groups, in_threes
from .toolset import Collector
from .understood import Incomplete, Result, Unclear, Understood
from .words import digits, doubtful, split

AGAIN = "I did not get a phone number. Please say it digit by digit."


def understand(heard: str, *, region: str = "US") -> Result[str]:
    """Return the number that was heard, in international form such as +14155550199, or a question for the caller.

    An extension follows the number, as in `+14155550199;ext=12`. `region` is the country, such as US, that is assumed
    if no country code was said.
    """
    tokens = split(re.sub(r"[().\u2011/-]", " ", heard))
    first = next((at for at, word in enumerate(tokens) if word == "+" or digits(tokens, at)), len(tokens))
    if doubtful(tokens[first:]):
        return Unclear("I heard more than one thing. Please say the whole number once more.")
    written = _written(tokens)
    if not any(char.isdigit() for char in written):
        return Unclear(AGAIN)
    return _checked(written, region)


def _written(tokens: Sequence[str]) -> str:
    """Return the digits, with a plus sign in front if a plus was said first, and `;ext=` before an extension."""
    text, at = "", 0
    while at < len(tokens):
        if tokens[at] in ("+", "plus") and not text:
            text, at = "+", at + 1
        elif read := digits(tokens, at):
            text, at = text + read[0], read[1]
        elif tokens[at] in ("extension", "ext"):
            text, at = f"{text};ext=", at + 1
        else:
            at += 1
    return text


def _checked(written: str, region: str) -> Result[str]:
    library = need("phonenumbers", "phonenumbers", "collect", "Phone")
    number, _, extension = written.partition(";ext=")
    try:
        parsed = library.parse(number, region)
    except library.NumberParseException as error:
        short = error.error_type in (error.TOO_SHORT_NSN, error.TOO_SHORT_AFTER_IDD, error.NOT_A_NUMBER)
        return _incomplete(number) if short else Unclear(AGAIN)
    if library.is_valid_number(parsed):
        value = library.format_number(parsed, library.PhoneNumberFormat.E164)
        return Understood(f"{value};ext={extension}" if extension else value)
    return _invalid(library, parsed, number)


def _incomplete(number: str) -> Incomplete:
    return Incomplete("I have {so_far} so far. And the rest?")


def _invalid(library: Any, parsed: Any, number: str) -> Result[str]:
    reason = library.is_possible_number_with_reason(parsed)
    if reason in (library.ValidationResult.TOO_SHORT, library.ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        return _incomplete(number)
    if reason == library.ValidationResult.TOO_LONG:
        return Unclear("That is more digits than a phone number has. Please say it once more, slowly.")
    return Unclear("That does not seem to be a phone number. Please say it once more, digit by digit.")


def say(value: str, *, region: str = "US") -> str:
    """Return the words with which the agent repeats a number to the caller, in groups of digits.

    The country code of the country `region` is left out.
    """
    library = need("phonenumbers", "phonenumbers", "collect", "Phone")
    number, _, extension = value.partition(";ext=")
    parsed = library.parse(number, region)
    home = library.region_code_for_number(parsed) == region
    form = library.PhoneNumberFormat.NATIONAL if home else library.PhoneNumberFormat.INTERNATIONAL
    words = ("" if home else "plus ") + groups(library.format_number(parsed, form))
    return f"{words}, extension {groups(extension)}" if extension else words


def say_part(heard: str) -> str:
    """Return the words with which the agent repeats the beginning of a number to the caller."""
    return in_threes(_written(split(re.sub(r"[().\u2011/-]", " ", heard))))


class Phone(Collector[str]):
    """Collects a telephone number, also in parts, and checks that it can exist.

    `region` is the country, such as US, that is assumed if no country code was said.
    """

    label: ClassVar[str] = "phone number"
    needs = (("phonenumbers", "phonenumbers"),)
    fixes = True

    def __init__(self, field: str, *, region: str = "US", **options: Any) -> None:
        self._region = region
        super().__init__(field, **options)

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[str]:
        """Return the number that was heard, or a question for the caller."""
        return understand(heard, region=self._region)

    def say(self, value: str) -> str:
        """Return the words with which the agent repeats a number to the caller, in groups of digits."""
        return say(value, region=self._region)

    def part(self, heard: str) -> str:
        """Return the digits of a part of a number."""
        return _written(split(heard))

    def say_part(self, heard: str) -> str:
        """Return the words with which the agent repeats the beginning of a number to the caller."""
        return say_part(heard)

    def from_json(self, kept: Any) -> str:
        """Return the number from its JSON in the journal."""
        return str(kept)
