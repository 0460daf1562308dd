"""Amounts of money: "twelve fifty", "five euros twenty", "two grand"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from ..journal.record import Json
from ..spoken.money import CURRENCIES, SIGNS, money
from .number import LEAD, phrase
from .toolset import Collector
from .understood import Result, Unclear, Understood
from .words import cardinal, doubtful, split, without

UNITS = {
    "dollar": "USD", "dollars": "USD", "buck": "USD", "bucks": "USD", "euro": "EUR", "euros": "EUR", "pound": "GBP",
    "pounds": "GBP", "quid": "GBP", "franc": "CHF", "francs": "CHF", "yen": "JPY", "rupees": "INR", "rupee": "INR",
    **{sign.lower(): code for sign, code in SIGNS.items()}, "usd": "USD", "eur": "EUR", "gbp": "GBP",
}  # fmt: skip
CENTS = {"cent": "", "cents": "", "pence": "GBP", "penny": "GBP", "p": "GBP"}
AGAIN = "I did not get an amount. How much is it?"


def understand(heard: str, *, currency: str = "USD") -> Result[Decimal]:
    """Return the amount that was heard in this currency. Return a question if it is unclear or in another currency."""
    text = re.sub(r"([$€£₹¥])\s*(\d[\d,.]*)", r"\2 \1 ", heard)
    tokens = without(split(text), LEAD - {"a"}, {"altogether", "total", "in", "all", "then", "exactly"})
    if doubtful(tokens):
        return Unclear("I heard more than one amount. How much is it?")
    read = _amount(tokens)
    if read is None:
        return Unclear(AGAIN)
    amount, named = read
    if named and named != currency:
        return Unclear(f"Is that {money(amount, named)}, or {money(amount, currency)}?")
    return Understood(amount)


def _amount(tokens: list[str]) -> tuple[Decimal, str] | None:
    """Return the amount and the currency, which is "" if none was named. Return None if there is no amount."""
    if len(tokens) == 2 and tokens[0] == "a" and tokens[1] in UNITS:
        return Decimal(1), UNITS[tokens[1]]
    if tokens[:3] == ["half", "a", "dollar"]:
        return (Decimal("0.50"), "USD") if len(tokens) == 3 else None
    read = phrase(tokens)
    if read is None:
        return None
    whole, at = read
    rest = tokens[at:]
    if not rest:
        return whole, ""
    if rest[0] in CENTS and len(rest) == 1:
        return whole / 100, CENTS[rest[0]]
    if rest[0] in UNITS:
        return _after_unit(whole, UNITS[rest[0]], rest[1:])
    return _two_numbers(whole, rest)


def _after_unit(whole: Decimal, code: str, rest: Sequence[str]) -> tuple[Decimal, str] | None:
    """Add what was said after the unit, such as "and twenty cents", "fifty" or "and a half", to the amount `whole`.

    Return the amount and the currency, or None for any other words.
    """
    rest = rest[1:] if rest[:1] == ["and"] else rest
    if not rest:
        return whole, code
    if list(rest) in (["a", "half"], ["half"]):
        return whole + Decimal("0.5"), code
    cents = cardinal(rest)
    if (
        cents is None
        or not 0 < cents[0] < 100
        or list(rest[cents[1] :]) not in ([], ["cents"], ["cent"], ["pence"], ["penny"], ["p"])
    ):
        return None
    return whole + Decimal(cents[0]) / 100, code


def _two_numbers(whole: Decimal, rest: Sequence[str]) -> tuple[Decimal, str] | None:
    """Add to the amount `whole` the cents that directly follow it, as in "twelve fifty" or "five oh five".

    Return the amount and the currency, which is "" if none was named. Return None for any other words.
    """
    zero = rest[0] in ("oh", "o", "zero")
    cents = cardinal(rest, 1 if zero else 0)
    if cents is None or whole % 1 or cents[1] == 0 or not (0 < cents[0] < 10 if zero else 10 <= cents[0] < 100):
        return None
    amount, after = whole + Decimal(cents[0]) / 100, list(rest[cents[1] :])
    if not after:
        return amount, ""
    return (amount, UNITS[after[0]]) if len(after) == 1 and after[0] in UNITS else None


def say(value: Decimal, *, currency: str = "USD") -> str:
    """Return the words with which the agent repeats an amount: "twelve dollars and fifty cents"."""
    return money(value, currency)


class Money(Collector[Decimal]):
    """Collects an amount of money. `currency` is the code of its currency, such as USD."""

    label: ClassVar[str] = "amount"

    def __init__(self, field: str, *, currency: str = "USD", **options: Any) -> None:
        if currency not in CURRENCIES:
            raise DeveloperError(f"Money currency={currency!r}: expected one of {', '.join(CURRENCIES)}.")
        self._currency = currency
        super().__init__(field, **({"question": "How much is it?"} | options))

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[Decimal]:
        """Return the amount that was heard, or a question for the caller."""
        return understand(heard, currency=self._currency)

    def say(self, value: Decimal) -> str:
        """Return the words with which the agent repeats an amount."""
        return say(value, currency=self._currency)

    def to_json(self, value: Decimal) -> Json:
        """Return the amount as text for the journal, with at least two decimals."""
        cents = value.quantize(Decimal("0.01"))
        return str(cents if cents == value else value)

    def from_json(self, kept: Any) -> Decimal:
        """Return the amount from its JSON in the journal."""
        return Decimal(kept)
