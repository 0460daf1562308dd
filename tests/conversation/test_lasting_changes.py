"""Changes by hooks and guards are kept, even if a tool that runs meanwhile is cancelled and its changes are undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext, TextOutput
from pydantic_ai.models.instrumented import InstrumentationSettings

from layercode_app import Call, DeveloperError, Turn, VoiceAgent
from layercode_app.journal.record import Status
from layercode_app.testing import open_call, scripted
from layercode_app.testing.call import CallError

from .shop import until

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    note: str = ""
    address: str = ""


class State(BaseModel):
    half: int = 0
    strikes: int = 0
    visits: int = 0
    said: list[str] = []
    order: Order = Order()


class Desk:
    """An agent whose tool changes the state and then hangs."""

    def __init__(self, **options: Any) -> None:
        self.started = asyncio.Event()
        agent = Agent(deps_type=Turn[State])

        @agent.tool
        async def slow(ctx: RunContext[Turn[State]]) -> str:
            ctx.deps.state.half += 1
            ctx.deps.state.order.note = "half"
            self.started.set()
            await asyncio.sleep(60)
            return "never"

        self.voice = VoiceAgent("desk", agent, state=State, **options)


async def strict(turn: Turn[State]) -> str | None:
    """A guard that counts the messages that it refuses, and ends the call."""
    if "card" not in turn.text:
        return None
    await asyncio.sleep(0.1)
    turn.state.strikes += 1
    turn.hangup()
    return "I have to end this call."


async def test_what_a_guard_changes_stays_when_its_objection_cancels_a_tool() -> None:
    desk = Desk(guard=strict)
    async with open_call(desk.voice, model=scripted(Call("slow"), "fine")) as call:
        turn = await call.say("my card")
        state = await call.state()
    assert desk.started.is_set()
    assert (turn.spoken, turn.hangup) == ("I have to end this call.", True)
    assert (state["strikes"], state["half"]) == (1, 0)


@pytest.mark.parametrize("guard_ends", [False, True])
@pytest.mark.parametrize("seconds", [0, 60])
async def test_a_tool_of_a_refused_reply_does_not_end_the_call_but_the_guard_may(
    guard_ends: bool, seconds: int
) -> None:
    agent, asked = Agent(deps_type=Turn), asyncio.Event()

    @agent.tool
    async def leave(ctx: RunContext[Turn]) -> str:
        ctx.deps.hangup()
        asked.set()
        await asyncio.sleep(seconds)
        return "ok"

    async def guard(turn: Turn) -> str | None:
        if turn.text != "my card":
            return None
        await asyncio.wait_for(asked.wait(), 5)
        while not seconds and turn.record.tools[0].status != "done":
            await asyncio.sleep(0.001)
        if guard_ends:
            turn.hangup()
        return "No."

    model = scripted(Call("leave"), "Goodbye.", "Hello.")
    async with open_call(VoiceAgent("desk", agent, guard=guard, filler=False), model=model) as call:
        turn = await call.say("my card")
    assert turn.spoken.endswith("No.")
    assert turn.hangup is guard_ends


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("text", [False, True])
async def test_an_output_function_of_a_refused_reply_neither_ends_nor_hands_over_the_call(
    traced: bool, refused: bool, text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = asyncio.Event()

    async def leave(ctx: RunContext[Turn], text: str) -> str:
        ctx.deps.hangup()
        ctx.deps.hand_to("person")
        ran.set()
        return text

    async def guard(turn: Turn) -> str | None:
        await asyncio.wait_for(ran.wait(), 5)
        return "No." if refused else None

    monkeypatch.setattr(Agent, "_instrument_default", InstrumentationSettings() if traced else False)
    agent = Agent(deps_type=Turn, output_type=TextOutput(leave) if text else [leave])
    voice = VoiceAgent("desk", agent, guard=guard, speak=str, filler=False)
    model = scripted("Goodbye." if text else Call("final_result", {"text": "Goodbye."}))
    async with open_call(voice, others=[VoiceAgent("person", Agent(deps_type=Turn))], model=model) as call:
        turn = await call.say("bye")
    assert turn.record is not None
    assert turn.spoken.endswith("No." if refused else "Goodbye.")
    assert (turn.hangup, turn.record.handed_to) == ((False, "") if refused else (True, "person"))


@pytest.mark.parametrize("running", [False, True])
async def test_a_click_ends_the_call_although_a_guard_refuses_the_reply(running: bool) -> None:
    async def guard(turn: Turn) -> str | None:
        if running:
            await click()
        return "I can't talk about that."

    async def click() -> None:
        await call.send_data({"button": "leave"})

    voice = VoiceAgent("desk", Agent(deps_type=Turn), guard=guard, filler=False)

    @voice.on_data
    async def leave(turn: Turn, data: Any) -> None:
        turn.say("Goodbye.")
        turn.hangup()

    async with open_call(voice, model=scripted("Fine.")) as call:
        if not running:
            await click()
        turn = await call.say("hello")
    assert turn.hangup
    assert "Goodbye." in turn.spoken


@pytest.mark.parametrize("now", [False, True])
async def test_a_guard_may_hand_the_call_over_itself(now: bool) -> None:
    person = VoiceAgent("person")

    @person.on_message
    async def answer(turn: Turn) -> str:
        return "Ann here."

    async def guard(turn: Turn) -> str | None:
        turn.hand_to("person", now=now)
        return "I put you through. "

    voice = VoiceAgent("desk", Agent(deps_type=Turn), guard=guard, filler=False)
    async with open_call(voice, others=[person], model=scripted("Fine.")) as call:
        turn = await call.say("You are useless.")
        assert turn.spoken.removeprefix("Fine.") == "I put you through. " + "Ann here." * now
        assert (await call.say("hello")).spoken == "Ann here."


async def test_what_later_turns_change_stays_when_a_late_tool_times_out() -> None:
    desk = Desk(guard=strict, greeting="Hello again.", tools={"slow": "finish"}, tool_timeout=0.5)

    @desk.voice.on_session_start
    async def visit(turn: Turn[State]) -> None:
        turn.state.visits += 1

    async with open_call(desk.voice, model=scripted(Call("slow"), "fine", "fine")) as call:
        call.interrupt(in_tool=True)
        await call.say("go")
        call.reconnect()
        await call.greet()
        await call.say("my card")

        async def undone() -> bool:
            return bool((await call.state())["half"] == 0)

        await until(undone)
        state = await call.state()
    assert (state["visits"], state["strikes"]) == (1, 1)


@pytest.mark.parametrize("streams", [True, False])
async def test_what_messages_change_stays_when_a_data_hook_times_out(streams: bool) -> None:
    voice, started = VoiceAgent("survey", state=State), asyncio.Event()

    async def answer(turn: Turn[State]) -> str:
        turn.state.said.append(turn.text)
        return "Noted."

    async def stream(turn: Turn[State]) -> AsyncIterator[str]:
        yield "I "
        turn.state.said.append(turn.text)
        yield "noted it."

    voice.on_message(stream if streams else answer)

    @voice.on_data
    async def upload(turn: Turn[State], data: Any) -> None:
        turn.state.half += 1
        started.set()
        await asyncio.sleep(60)

    async with open_call(voice) as call:
        call.app.turns.limits = replace(call.app.turns.limits, hook_timeout=0.5)
        sending = asyncio.create_task(call.send_data({}))
        await started.wait()
        for text in ("red", "blue"):
            await call.say(text)
        with pytest.raises(CallError, match="504"):
            await sending
        state = await call.state()
    assert (state["said"], state["half"]) == (["red", "blue"], 0)


async def test_what_background_work_changes_stays() -> None:
    desk, counted = Desk(tool_timeout=0.5), asyncio.Event()

    async def count(turn: Turn[State]) -> None:
        await desk.started.wait()
        turn.state.visits += 1
        counted.set()

    async def begin(turn: Turn[State]) -> None:
        turn.background(count(turn))

    desk.voice.guards = (begin,)
    async with open_call(desk.voice, model=scripted(Call("slow"), "fine")) as call:
        await call.say("go")
        state = await call.state()
    assert (state["visits"], state["half"]) == (1, 0)


async def test_background_work_goes_on_if_the_tool_that_started_it_is_cancelled() -> None:
    done = asyncio.Event()
    agent = Agent(deps_type=Turn[State])

    async def later(turn: Turn[State]) -> None:
        await asyncio.sleep(0.4)
        assert await asyncio.to_thread(lambda: turn.state) is turn.state
        done.set()

    @agent.tool
    async def slow(ctx: RunContext[Turn[State]]) -> str:
        ctx.deps.background(later(ctx.deps))
        await asyncio.sleep(60)
        return "never"

    voice = VoiceAgent("desk", agent, state=State, tool_timeout=0.2)
    async with open_call(voice, model=scripted(Call("slow"), "fine")) as call:
        await call.say("go")
        await asyncio.wait_for(done.wait(), 5)


async def test_a_hook_that_holds_a_part_of_the_state_writes_into_it_after_a_tool_was_undone() -> None:
    desk, held, proceed = Desk(), asyncio.Event(), asyncio.Event()

    @desk.voice.on_data
    async def form(turn: Turn[State], data: Any) -> None:
        order = turn.state.order
        held.set()
        await proceed.wait()
        order.address = data["address"]

    async with open_call(desk.voice, model=scripted(Call("slow"), "fine")) as call:
        speaking = asyncio.create_task(call.say("go"))
        await desk.started.wait()
        sending = asyncio.create_task(call.send_data({"address": "1 Main St"}))
        await held.wait()
        call.app.turns.running[call.conversation_id].stop(Status.INTERRUPTED)
        await speaking
        proceed.set()
        await sending
        state = await call.state()
    assert state["order"] == {"note": "", "address": "1 Main St"}


async def test_assigning_a_state_gives_its_values_to_the_shared_one() -> None:
    voice = VoiceAgent("desk", state=State)

    @voice.on_message
    async def answer(turn: Turn[State]) -> str:
        shared = turn.state
        turn.state.visits += 1
        if turn.text == "again":
            turn.state = State(said=["again"])
        if turn.text == "wrong":
            with pytest.raises(DeveloperError, match=r"turn.state = .*: expected a State, such as State\(\)"):
                turn.state = Order()  # type: ignore[assignment]
        assert turn.state is shared
        return "ok"

    async with open_call(voice) as call:
        for text in ("hello", "again", "wrong"):
            await call.say(text)
        state = await call.state()
    assert (state["visits"], state["said"]) == (1, ["again"])


async def test_a_state_cannot_be_assigned_to_an_agent_without_one() -> None:
    voice = VoiceAgent("desk")

    @voice.on_message
    async def answer(turn: Turn[Any]) -> str:
        with pytest.raises(DeveloperError, match=r"has no state. Write VoiceAgent\('desk', ..., state=Order\)"):
            turn.state = State()
        return "ok"

    async with open_call(voice) as call:
        assert (await call.say("hello")).spoken == "ok"


@pytest.mark.parametrize("order", [["quick", "slow"], ["slow", "quick"]])
async def test_a_hand_over_in_this_turn_survives_the_undoing_of_another(order: list[str]) -> None:
    agent = Agent(deps_type=Turn)

    @agent.tool
    async def slow(ctx: RunContext[Turn]) -> str:
        ctx.deps.hand_to("sales", now=True)
        await asyncio.sleep(60)
        return "never"

    @agent.tool
    async def quick(ctx: RunContext[Turn]) -> str:
        ctx.deps.hand_to("billing", now=True)
        return "ok"

    billing, sales = VoiceAgent("billing"), VoiceAgent("sales")
    for other in (billing, sales):

        @other.on_message
        async def answer(turn: Turn) -> str:
            return f"This is {turn.agent}."

    voice = VoiceAgent("front", agent, tool_timeout=0.2)
    model = scripted([Call(name) for name in order], "done")
    async with open_call(voice, others=[billing, sales], model=model) as call:
        assert (await call.say("go")).spoken == "This is billing."
        assert (await call.say("hello")).spoken == "This is billing."
