"""A recorded tool call names the state's fields that it changed. A fork takes their values from the recorded turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Scene, Turn, VoiceAgent
from layercode_app.journal.record_json import dump_head
from layercode_app.replay.fork import Changes, fork
from layercode_app.testing import open_call

from .test_tool_effects import of_older_version

pytestmark = pytest.mark.anyio

CARD = "4111111111111111"
PRICES = {"cake": 4, "tea": 2}


class Basket(BaseModel):
    model_config = ConfigDict(extra="allow")

    items: list[str] = []
    card: str = ""

    @field_validator("items")
    @classmethod
    def _priced(cls, items: list[str]) -> list[str]:
        assert sum(PRICES[item] for item in items) >= 0
        return items


async def card(ctx: RunContext[Turn[Basket]]) -> str:
    """Read the card from a vault."""
    ctx.deps.state.card = CARD
    return "read"


async def pay(ctx: RunContext[Turn[Basket]]) -> str:
    """Pay, and forget the card."""
    ctx.deps.state.card = ""
    return "paid"


async def coupon(ctx: RunContext[Turn[Any]]) -> str:
    """Note a coupon."""
    ctx.deps.state.coupon = "X"
    return "noted"


async def no_coupon(ctx: RunContext[Turn[Any]]) -> str:
    """Remove the coupon."""
    del ctx.deps.state.coupon
    return "removed"


def shop(*tools: Any, **options: Any) -> VoiceAgent[Any, Any]:
    """An agent that calls the tools whose names the caller says."""
    given = tools or (card, pay, coupon, no_coupon)
    voice = VoiceAgent("shop", Agent(deps_type=Turn, tools=given), state=Basket, filler=False, **options)

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        named = scene.text.split()
        yield Call(named[len(scene.answered)]) if len(scene.answered) < len(named) else "Done."

    return voice


async def test_a_value_that_the_turn_sets_and_clears_is_not_recorded() -> None:
    async with open_call(shop()) as call:
        await call.say("card pay")
        [turn] = await call.records()
    assert [one.effects for one in turn.tools] == [{"fields": ["card"]}] * 2
    assert CARD.encode() not in dump_head(turn)


async def test_a_removed_extra_field_is_removed_again() -> None:
    async with open_call(shop()) as call:
        for text in ("coupon", "no_coupon"):
            await call.say(text)
        turns = await call.records()
    assert [one.effects for turn in turns for one in turn.tools] == [{"fields": ["coupon"]}] * 2
    forked = await fork(turns, shop(), at=1, changes=Changes(rest=True))
    assert ["coupon" in pair.new.state for pair in forked.pairs] == [True, False]
    assert [pair.new.state for pair in forked.pairs] == [turn.state for turn in turns]


async def test_the_effects_of_a_tool_that_ends_after_its_turn_are_recorded(tmp_path: Path) -> None:
    proceed = asyncio.Event()

    async def take(ctx: RunContext[Turn[Basket]]) -> str:
        await proceed.wait()
        ctx.deps.state.items.append("cake")
        return "taken"

    voice = shop(take, tools={"take": "finish"})
    async with open_call(voice, settings={"store": f"sqlite:///{tmp_path}/journal.sqlite3"}) as call:
        call.interrupt(in_tool=True)
        await call.say("take")
        proceed.set()
        while (turn := (await call.records())[0]).tools[0].status != "done":
            await asyncio.sleep(0.01)
    assert turn.tools[0].effects == {"fields": ["items"]}


def kiosk() -> VoiceAgent[Any, Any]:
    """An agent that calls a tool for each word of the caller.

    The name of a product adds the product, `menu` lists the products, and `check_out` hands the call over.
    """
    agent: Agent[Turn[Basket], str] = Agent(deps_type=Turn)
    voice = VoiceAgent("kiosk", agent, state=Basket, filler=False)

    @agent.tool
    async def menu(ctx: RunContext[Turn[Basket]]) -> str:
        return "cake, tea"

    @agent.tool
    async def add(ctx: RunContext[Turn[Basket]], item: str) -> str:
        ctx.deps.state.items = [*ctx.deps.state.items, item]
        return "added"

    @agent.tool
    async def check_out(ctx: RunContext[Turn[Basket]]) -> str:
        ctx.deps.hand_to("till")
        return "handed over"

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        named = scene.text.split()
        if len(scene.answered) == len(named):
            yield "Done."
        else:
            name = named[len(scene.answered)]
            yield Call("add", {"item": name}) if name in ("cake", "tea") else Call(name)

    return voice


@pytest.mark.parametrize("older", [False, True])
async def test_the_effects_of_other_turns_are_not_repeated(older: bool) -> None:
    till = VoiceAgent("till", Agent())
    async with open_call(kiosk(), others=[till]) as call:
        for text in ("menu", "cake", "tea", "menu check_out"):
            await call.say(text)
        turns = await call.records()
    turns = of_older_version(turns) if older else turns
    changed = await fork(turns, kiosk(), at=1, changes=Changes(say=["tea", "menu check_out"]), others=[till])
    assert [(one.new.state["items"], one.new.handed_to) for one in changed.pairs] == [([], "")] * 2
    results = [[tool.result for tool in one.new.tools] for one in changed.pairs]
    assert results == [["added"], ["cake, tea", "handed over"]]
    same = await fork(turns, kiosk(), at=1, changes=Changes(rest=True), others=[till])
    assert [(one.new.state, one.new.handed_to) for one in same.pairs] == [(one.state, one.handed_to) for one in turns]


async def test_a_turn_uses_its_recordings_even_if_an_earlier_turn_used_them() -> None:
    async with open_call(kiosk()) as call:
        for text in ("tea", "tea", "tea"):
            await call.say(text)
        turns = await call.records()
    forked = await fork(turns, kiosk(), at=1, changes=Changes(say=["tea tea tea"], rest=True))
    assert [one.new.state for one in forked.pairs] == [one.state for one in turns]


async def test_a_value_that_a_validator_cannot_check_any_more_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_call(kiosk()) as call:
        await call.say("tea")
        turns = await call.records()
    monkeypatch.delitem(PRICES, "tea")
    [pair] = (await fork(turns, kiosk(), at=1)).pairs
    assert (pair.new.error, pair.new.spoken_text, pair.new.state["items"]) == (None, "Done.", [])


async def test_a_hand_over_in_an_older_recording_is_repeated_once() -> None:
    till = VoiceAgent("till", Agent())
    async with open_call(kiosk(), others=[till]) as call:
        await call.say("menu cake tea check_out")
        turns = of_older_version(await call.records())
    [pair] = (await fork(turns, kiosk(), at=1, others=[till])).pairs
    assert (pair.new.handed_to, pair.new.notes) == ("till", []), "each call counts as having handed over"
