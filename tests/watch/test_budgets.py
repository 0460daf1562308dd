"""Callers are answered until a budget is used up, and then refused in speech. A greeting costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from layercode_app import ConfigurationError, LayerCode
from layercode_app.watch.budgets import WARNED, parse_amount

from ..calling import calling, settings
from ..lost_answers import lose_answer
from ..priced import priced_agent, records
from ..redis_server import RedisServer

pytestmark = pytest.mark.anyio

REFUSAL = "No more today."


def app_with(tmp_path: Path, **given: Any) -> LayerCode:
    return LayerCode(priced_agent(), settings=settings(tmp_path, budget_refusal=REFUSAL, **given))


async def test_a_conversation_over_its_budget_is_refused_and_others_are_not(tmp_path: Path) -> None:
    app = app_with(tmp_path, budget_conversation="0.00003")
    async with calling(app) as caller:
        first, second = await caller.say("hello"), await caller.say("hello")
        third = await caller.say("hello")
        spent = caller.conversation_id
        caller.conversation_id = "another"
        other = await caller.say("hello")
        greeting = await caller.send({"type": "session.start", "turn_id": "g", "conversation_id": spent})
        journal = await records(app)

    assert [first.spoken, second.spoken, third.spoken, other.spoken] == ["That is done."] * 2 + [
        REFUSAL,
        "That is done.",
    ]
    assert greeting.spoken == "Hello!"
    assert third.types == ["response.tts", "response.end"]
    refused = journal[2]
    assert (refused.error_category, refused.impact, refused.error, refused.cost) == ("budget", "refusal", None, None)


async def test_a_budget_of_a_day_is_counted_over_conversations_and_warned_of_once(tmp_path: Path) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    app = app_with(tmp_path, budget_day="150 tokens", budget_warning=0.3)
    try:
        async with calling(app) as caller:
            said = []
            for number in range(5):
                caller.conversation_id = f"c{number}"
                said.append((await caller.say("hello")).spoken)
    finally:
        logger.remove(sink)

    assert said == ["That is done."] * 3 + [REFUSAL] * 2
    assert len([line for line in lines if "day's budget of 150 tokens" in line]) == 1


async def test_the_budget_of_a_day_is_warned_of_although_the_answer_of_the_store_was_lost(
    redis_server: RedisServer, tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.clear()
    app = app_with(tmp_path, store=redis_server.url, budget_day="150 tokens", budget_warning=0.3)
    async with calling(app) as caller:
        lose_answer(app.store, WARNED, "budget", monkeypatch)
        for number in range(5):
            caller.conversation_id = f"c{number}"
            await caller.say("hello")
    assert len([line for line in warned if "day's budget of 150 tokens" in line]) == 1


@pytest.mark.parametrize(
    ("text", "limit", "unit"),
    [("5", 5, "$"), ("$0.50", 0.5, "$"), ("200k tokens", 200_000, "tokens"), ("2M tokens", 2e6, "tokens")],
)
def test_amounts(text: str, limit: float, unit: str) -> None:
    amount = parse_amount(text, "X")
    assert amount is not None
    assert (amount.limit, amount.unit) == (limit, unit)


def test_an_amount_that_cannot_be_read_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"LAYERCODE_BUDGET_DAY.*banana"):
        app_with(tmp_path, budget_day="banana")
