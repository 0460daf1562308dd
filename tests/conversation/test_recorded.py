"""Outcomes, scores and counts: wrong values are refused without ending the call, and numbers become JSON numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from layercode_app import Turn, VoiceAgent
from layercode_app.journal.record import TurnRecord
from layercode_app.testing.call import open_call

pytestmark = pytest.mark.anyio

NOT_NUMBERS = [float("nan"), float("-inf"), 10**400, Fraction(10**400), Decimal("sNaN"), Decimal("Infinity"), [1]]


async def recorded(value: Any) -> TurnRecord:
    """Return the record of a turn that passes `value` to `turn.outcome`, `turn.score` and `turn.count`.

    The turn counts 1 euro, and then also counts `value` euros with the label `size="large"`.
    """
    voice = VoiceAgent("shop")

    @voice.on_message
    async def order(turn: Turn) -> str:
        turn.outcome("booked", value=value)
        turn.score("polite", value)
        turn.count("euros", 1)
        turn.count("euros", value, size="large")
        return "Ordered."

    async with open_call(voice) as call:
        record = (await call.say("order")).record
    assert record is not None
    assert record.status == "complete"
    return record


@pytest.mark.parametrize("value", [2.5, Decimal("2.50"), Fraction(5, 2)])
async def test_numbers_are_saved_as_json_numbers(value: Any, warned: list[str]) -> None:
    record = await recorded(value)
    assert record.outcomes == [{"name": "booked", "value": 2.5}]
    assert record.scores == {"polite": {"value": 2.5, "comment": None}}
    assert record.counts == {"euros": 3.5, "euros,size=large": 2.5}
    assert warned == []


async def test_the_score_of_a_persons_verdict_is_refused(warned: list[str]) -> None:
    voice = VoiceAgent("shop")

    @voice.on_message
    async def order(turn: Turn) -> str:
        turn.score("review", True)
        turn.score("feedback", True)
        return "Ordered."

    async with open_call(voice) as call:
        record = (await call.say("order")).record
    assert record is not None
    assert list(record.scores) == ["feedback"]
    [line] = warned
    assert line.startswith("turn.score('review', True): expected another name, because 'review' is a person's verdict")


async def test_integers_stay_integers_up_to_64_bits() -> None:
    assert str((await recorded(2)).counts) == "{'euros': 3, 'euros,size=large': 2}"
    assert (await recorded(10**30)).outcomes == [{"name": "booked", "value": 1e30}]


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=lambda value: str(type(value)))
async def test_what_is_no_number_is_refused_with_an_error_and_the_call_goes_on(value: Any, warned: list[str]) -> None:
    record = await recorded(value)
    assert record.outcomes == [{"name": "booked", "value": None}]
    assert record.scores == {}
    assert record.counts == {"euros": 1}
    assert [line.partition("(")[0] for line in warned] == ["turn.outcome", "turn.score", "turn.count"]
    assert "expected a finite number" in warned[0]


async def test_a_text_is_a_score_but_no_number(warned: list[str]) -> None:
    record = await recorded("42")
    assert (record.outcomes[0]["value"], record.scores["polite"]["value"], record.counts) == (None, "42", {"euros": 1})
    assert "turn.outcome('booked', value='42'): expected a finite number" in warned[0]


async def test_counts_may_fall_to_zero_but_never_rise_to_infinity() -> None:
    assert (await recorded(-1)).counts == {"euros": 0, "euros,size=large": -1}
    voice = VoiceAgent("shop")

    @voice.on_message
    async def order(turn: Turn) -> str:
        for _ in range(2):
            turn.count("euros", 1e308)
        return "Ordered."

    async with open_call(voice) as call:
        record = (await call.say("order")).record
    assert record is not None
    assert record.counts == {"euros": 1e308}
