"""Find numbers and prices that the agent made up: no tool, no prompt and no caller named them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ....agent.sentence import DIGITS, number
from ....journal.record import TurnRecord
from ....judging.case import prompts_in
from ...turn import HeardTurn

_AMOUNT = re.compile(r"(\d[\d,]*)(?:\.(\d+)| (?:euros?|dollars?|pounds?)(?: and)? (\d\d?)\b)?", re.IGNORECASE)
"""Matches 1,200 and 4.80 and "4 euros 80"."""
_WORD = re.compile(r"[^\W\d_]+")


def ungrounded(turns: Sequence[HeardTurn], records: Sequence[TurnRecord]) -> Iterator[tuple[int, str]]:
    """Find the amounts in digits that the agent said without a source. Yield the turn's number and the amount's text.

    Sources are the prompt, the greeting, the arguments and results of tools so far, and the caller's words so far.
    """
    known = _prompted(records)
    for place, turn in enumerate(turns, 1):
        known |= _amounts(turn.text) | _in_words(turn.text)
        for call in turn.tools:
            known |= _in_value(call.args) | _in_value(call.result)
        if place == 1 and not turn.text:
            known |= _amounts(turn.spoken)
        for found in _AMOUNT.finditer(turn.spoken):
            if _value(found) not in known:
                yield place, repr(found[0].strip())


def _prompted(records: Sequence[TurnRecord]) -> set[float]:
    """Return the numbers in the instructions and system prompts that were sent to the model during the call."""
    return _in_value(list({text for record in records for text in prompts_in(record.messages)}))


def _in_value(value: Any) -> set[float]:
    """Return all numbers in a value, including numbers spelled out in its texts."""
    if isinstance(value, dict):
        return {number for key, each in value.items() for number in _in_value(key) | _in_value(each)}
    if isinstance(value, list | tuple):
        return {number for each in value for number in _in_value(each)}
    if isinstance(value, int | float):
        return {float(value)}
    return _amounts(value) | _in_words(value) if isinstance(value, str) else set()


def _amounts(text: str) -> set[float]:
    """Return the numbers in a text, and each part of an amount: "4.80" is 4.8, 4 and 80."""
    found = list(_AMOUNT.finditer(text))
    return {_value(one) for one in found} | {float(part) for one in found for part in re.findall(r"\d+", one[0])}


def _in_words(text: str) -> set[float]:
    words = _WORD.findall(text.lower())
    return {float(one) for word in words for one in (number(word), DIGITS.get(word)) if one is not None}


def _value(found: re.Match[str]) -> float:
    whole, point, cents = found[1].replace(",", ""), found[2], found[3]
    if cents:
        return int(whole) + int(cents) / 100
    return float(f"{whole}.{point}") if point else float(whole)
