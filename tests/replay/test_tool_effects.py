"""If a tool is replayed from its recording, its recorded effects happen too, because the rest of the turn needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Scene, Stage, Turn, VoiceAgent
from layercode_app.journal.record import TurnRecord
from layercode_app.replay.fork import Changes, fork
from layercode_app.replay.recording import Recording
from layercode_app.replay.replay import Options, replay
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    item: str = ""


def shop() -> VoiceAgent[Any, Any]:
    """Return an agent that takes an order in the stages `order` and `address`, and hands the call over for the payment.

    The stage `address` follows once the state has an item. The prompt of this stage names the item.
    """
    agent: Agent[Turn[Order], str] = Agent(deps_type=Turn)
    voice = VoiceAgent(
        "shop",
        agent,
        state=Order,
        stages=[
            Stage("order", "Take the order.", [take], then=lambda turn: "address" if turn.state.item else None),
            Stage("address", lambda turn: f"Ask where the {turn.state.item} goes.", [deliver, begin_again]),
            Stage("payment", "Let the caller pay.", [pay]),
        ],
        confirm={"deliver": "Shall I send the {item} to {address}?"},
        filler=False,
    )

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        if scene.results:
            yield f"Done: {', '.join(tool.name for tool in scene.info.function_tools)}."
        elif scene.offers("take"):
            yield Call("take", {"item": "cake"})
        elif scene.offers("deliver"):
            yield Call("begin_again") if scene.says("else") else Call("deliver", {"address": "Mill Lane"})
        else:
            yield Call("pay")

    return voice


def take(ctx: RunContext[Turn[Order]], item: str) -> str:
    """Note the item."""
    ctx.deps.state.item = item
    ctx.deps.say(f"One {item}. ")
    return "taken"


async def deliver(ctx: RunContext[Turn[Order]], address: str) -> str:
    """Send the item."""
    ctx.deps.go_to("payment")
    return "sent"


async def begin_again(ctx: RunContext[Turn[Order]]) -> str:
    """Forget the item."""
    ctx.deps.state = Order()
    ctx.deps.go_to("order")
    return "forgotten"


async def pay(ctx: RunContext[Turn[Order]]) -> str:
    """Hand the call over."""
    ctx.deps.hand_to("till", say="The till takes your money.")
    return "handed over"


async def recorded() -> list[TurnRecord]:
    """Return the turns of a call with every effect. The words show which tools the agent had after each effect."""
    till = VoiceAgent("till", Agent())
    async with open_call(shop(), others=[till]) as call:
        said = ("A cake", "Or something else", "Yes, a cake", "To Mill Lane", "Yes", "I pay")
        assert [(await call.say(text)).spoken for text in said] == [
            "One cake. Done: deliver, begin_again.",
            "Done: take.",
            "One cake. Done: deliver, begin_again.",
            "Shall I send the cake to Mill Lane?",
            "Done: pay.",
            "The till takes your money.",
        ]
        return await call.records()


def of_older_version(turns: list[TurnRecord]) -> list[TurnRecord]:
    """Return the turns without the effects of each tool call, which older versions did not record."""
    return [replace(turn, tools=[replace(call, effects=None) for call in turn.tools]) for turn in turns]


async def test_the_effects_of_each_tool_call_are_recorded() -> None:
    turns = await recorded()
    assert [call.effects for turn in turns for call in turn.tools] == [
        {"fields": ["item"], "said": "One cake. "},
        {"fields": ["item"], "stage": "order"},
        {"fields": ["item"], "said": "One cake. "},
        {"stage": "payment"},
        {"agent": "till", "said": "The till takes your money.", "leaves": True},
    ]


@pytest.mark.parametrize("run_tools", [False, True])
async def test_a_replay_of_the_same_agent_differs_in_nothing(run_tools: bool) -> None:
    result = await replay(Recording(await recorded()), shop(), Options(run_tools=run_tools))
    assert [turn.differences for turn in result.turns] == [[]] * 6
    last = [turn.new for turn in result.turns if turn.new]
    assert [(turn.at_stage, turn.handed_to) for turn in last] == [
        ("address", ""), ("order", ""), ("address", ""), ("address", ""), ("payment", ""), ("payment", "till"),
    ]  # fmt: skip


async def test_a_call_of_an_older_version_is_replayed_as_far_as_the_turns_tell() -> None:
    turns = of_older_version(await recorded())
    result = await replay(Recording(turns), shop())
    assert [turn.number for turn in result.turns if turn.differences] == [1, 3], "what the tool said is unknown"
    assert all(turn.new and turn.new.error is None for turn in result.turns)


async def test_a_fork_goes_on_with_the_effects_of_its_recorded_tools() -> None:
    turns = await recorded()
    forked = await fork(turns, shop(), at=3, changes=Changes(rest=True))
    assert [pair.new.spoken_text for pair in forked.pairs] == [
        pair.old.spoken_text for pair in forked.pairs if pair.old
    ]
    assert [pair.new.error for pair in forked.pairs] == [None] * 4
    assert forked.pairs[0].new.state == {"item": "cake"}


async def test_effects_that_the_agent_cannot_have_any_more_are_left_out() -> None:
    turns = await recorded()
    other = VoiceAgent("shop", Agent(tools=[take]), filler=False)
    forked = await fork(turns, other, at=1)
    assert forked.pairs[0].new.error is None
    turns[0].state = {"item": ["not a text"]}
    forked = await fork(turns, shop(), at=1)
    assert forked.pairs[0].new.state == {"item": ""}
