"""The changes of a cancelled tool are undone, whatever cancelled the tool. All other changes stay."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from pydantic_ai import Agent, ModelRetry, RunContext

from layercode_app import Call, Stage, Turn, VoiceAgent
from layercode_app.conversation.state import LiveState
from layercode_app.journal.record import Status
from layercode_app.testing import open_call, scripted
from layercode_app.testing.call import CallError

from .shop import until

pytestmark = pytest.mark.anyio


class State(BaseModel):
    half: int = 0
    quick: int = 0
    address: str = ""
    ordered: bool = False
    items: list[str] = []


class Desk:
    """An agent with a slow tool, a quick one, and one that finishes when it is told to."""

    def __init__(self, **options: Any) -> None:
        self.started, self.proceed = asyncio.Event(), asyncio.Event()
        agent = Agent(deps_type=Turn[State])
        self.voice = VoiceAgent("desk", agent, state=State, tools={"order": "finish"}, **options)

        @agent.tool
        async def slow(ctx: RunContext[Turn[State]]) -> str:
            ctx.deps.state.half = 1
            self.started.set()
            ctx.deps.say("Looking now. ")
            await asyncio.sleep(60)
            return "found"

        @agent.tool
        async def quick(ctx: RunContext[Turn[State]]) -> str:
            ctx.deps.state.quick = 1
            return "done"

        @agent.tool
        async def order(ctx: RunContext[Turn[State]]) -> str:
            items = ctx.deps.state.items
            ctx.deps.state.ordered = True
            await self.proceed.wait()
            items.append("bread")
            return "ordered"

        @self.voice.on_data
        async def form(turn: Turn[State], data: Any) -> Any:
            turn.state.address = data["address"]
            if data.get("slow"):
                await asyncio.sleep(60)


async def test_what_a_page_saves_while_a_tool_runs_stays_when_the_tool_is_cancelled() -> None:
    desk = Desk()
    async with open_call(desk.voice, model=scripted(Call("slow"), "fine")) as call:

        async def fill_in() -> None:
            await desk.started.wait()
            await call.send_data({"address": "1 Main St"})
            call.app.turns.running[call.conversation_id].stop(Status.INTERRUPTED)

        filling = asyncio.create_task(fill_in())
        await call.say("look it up")
        await filling
        state = await call.state()
    assert (state["address"], state["half"]) == ("1 Main St", 0)


@pytest.mark.parametrize("together", [True, False])
async def test_a_tool_that_finishes_keeps_its_changes_when_another_one_is_cancelled(together: bool) -> None:
    desk = Desk()
    steps: list[Any] = [[Call("order"), Call("slow")]] if together else [Call("order"), Call("slow")]
    async with open_call(desk.voice, model=scripted(*steps, "fine")) as call:
        for _ in range(1 if together else 2):
            call.interrupt(in_tool=True)
            await call.say("go")
        interrupted = await call.state()
        desk.proceed.set()

        async def finished() -> bool:
            return bool((await call.state())["items"] == ["bread"])

        await until(finished)
        state = await call.state()
    assert interrupted["ordered"]
    assert state["ordered"]


async def test_a_quick_tool_in_parallel_does_not_keep_half_of_a_cancelled_one() -> None:
    desk = Desk()
    async with open_call(desk.voice, model=scripted([Call("slow"), Call("quick")], "fine")) as call:
        call.interrupt(after="Looking now.")
        await call.say("go")
        state = await call.state()
    assert (state["half"], state["quick"]) == (0, 1)


@pytest.mark.parametrize("by", ["guard", "timeout"])
async def test_half_done_work_is_undone_when_a_guard_or_the_timeout_of_the_turn_cancels_the_tool(by: str) -> None:
    async def refuse(turn: Turn[State]) -> str | None:
        await desk.started.wait()
        return "No."

    desk = Desk(**({"guard": refuse} if by == "guard" else {"turn_timeout": 0.3}))
    async with open_call(desk.voice, model=scripted(Call("slow"), "fine")) as call:
        turn = await call.say("go")
        assert turn.record is not None
        assert [tool.status for tool in turn.record.tools] == ["cancelled"]
        assert (await call.state())["half"] == 0


async def test_a_tool_that_times_out_is_undone_and_what_it_shares_with_others_stays() -> None:
    desk = Desk(tool_timeout=0.2)
    async with open_call(desk.voice, model=scripted([Call("slow"), Call("quick")], "fine")) as call:
        turn = await call.say("go")
        state = await call.state()
    assert turn.record is not None
    assert [tool.result for tool in turn.record.tools] == ["timed out", "done"]
    assert turn.spoken == "Looking now. fine"
    assert (state["half"], state["quick"]) == (0, 1)


def slow_booking(*, seconds: float | None = None, **options: Any) -> Agent[Turn[State], str]:
    """Return an agent with a tool that does half of its work, then takes long."""
    agent = Agent(deps_type=Turn[State], **options)

    def begin(turn: Turn[State]) -> None:
        turn.state.half = 1
        turn.hangup()

    @agent.tool(timeout=seconds)
    async def book(ctx: RunContext[Turn[State]]) -> str:
        await asyncio.sleep(0.05)  # A second call of the tool begins before the state changes.
        begin(ctx.deps)
        await asyncio.sleep(60)
        return "booked"

    @agent.tool(timeout=seconds)
    def book_plainly(ctx: RunContext[Turn[State]]) -> str:
        begin(ctx.deps)
        time.sleep(0.5)
        ctx.deps.state.half = 2
        return "booked"

    return agent


@pytest.mark.parametrize(
    "options", [{"voice": {"tool_timeout": 0.2}}, {"agent": {"seconds": 0.2}}, {"agent": {"tool_timeout": 0.2}}]
)
@pytest.mark.parametrize("calls", [["book"], ["book", "book"], ["book_plainly"]])
async def test_half_done_work_is_undone_whatever_sets_the_timeout_of_the_tool(options: Any, calls: list[str]) -> None:
    voice = VoiceAgent("desk", slow_booking(**options.get("agent", {})), state=State, **options.get("voice", {}))
    async with open_call(voice, model=scripted([Call(name) for name in calls], "That took too long.")) as call:
        turn = await call.say("go")
        state = await call.state()
    assert turn.record is not None
    assert [tool.result for tool in turn.record.tools] == ["timed out"] * len(calls)
    assert (turn.spoken, state["half"], turn.record.hangup) == ("That took too long.", 0, False)


async def test_a_tool_that_asks_for_a_retry_after_a_timeout_within_it_keeps_its_changes() -> None:
    agent = Agent(deps_type=Turn[State])

    @agent.tool
    async def look(ctx: RunContext[Turn[State]]) -> str:
        ctx.deps.state.half = 1
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            raise ModelRetry("Try again later.") from None
        return "found"

    async with open_call(VoiceAgent("desk", agent, state=State), model=scripted(Call("look"), "Later.")) as call:
        turn = await call.say("go")
        state = await call.state()
    assert turn.record is not None
    assert ([tool.result for tool in turn.record.tools], state["half"]) == (["ToolRetryError"], 1)


@pytest.mark.parametrize("calls", [1, 2])
async def test_a_tool_keeps_its_changes_when_a_tool_of_its_helper_agent_times_out(calls: int) -> None:
    helper: Agent[None, str] = Agent(scripted(*[Call("search")] * 3, "x"), tool_timeout=0.02)
    agent = Agent(deps_type=Turn[State])

    @helper.tool_plain
    async def search() -> str:
        await asyncio.sleep(60)
        return "found"

    @agent.tool
    async def book(ctx: RunContext[Turn[State]]) -> str:
        ctx.deps.state.half = 1
        await helper.run("Search.")
        return "booked"

    async with open_call(VoiceAgent("desk", agent, state=State), model=scripted([Call("book")] * calls)) as call:
        turn = await call.say("go")
        state = await call.state()
    assert turn.record is not None
    assert {tool.result for tool in turn.record.tools} == {"UnexpectedModelBehavior"}
    assert state["half"] == 1


async def test_a_tool_that_timed_out_is_undone_if_the_model_may_not_call_it_again() -> None:
    voice = VoiceAgent("desk", slow_booking(seconds=0.1, retries=0), state=State)
    async with open_call(voice, model=scripted([Call("book"), Call("book")])) as call:
        turn = await call.say("go")
        state = await call.state()
    assert turn.record is not None
    assert [tool.result for tool in turn.record.tools] == ["timed out"] * 2
    assert (turn.record.error, state["half"]) == ("UnexpectedModelBehavior", 0)


async def test_a_data_hook_that_times_out_is_undone() -> None:
    desk = Desk()
    async with open_call(desk.voice) as call:
        call.app.turns.limits = replace(call.app.turns.limits, hook_timeout=0.2)
        with pytest.raises(CallError, match="504"):
            await call.send_data({"address": "1 Main St", "slow": True})
        assert (await call.state())["address"] == ""


async def test_the_stage_that_follows_a_tool_stays_when_another_tool_is_cancelled() -> None:
    def then(turn: Turn[State]) -> str | None:
        return "pay" if turn.state.quick and turn.stage == "order" else None

    desk = Desk(stages=[Stage("order", "Order.", then=then), Stage("pay", "Pay.")])
    async with open_call(desk.voice, model=scripted([Call("quick"), Call("slow")], "fine")) as call:
        call.interrupt(after="Looking now.")
        turn = await call.say("go")
    assert turn.record is not None
    assert turn.record.status == "interrupted"
    assert turn.record.at_stage == "pay"


class Goodbyes:
    """An agent with two tools that end the call, one of which is slow."""

    def __init__(self, **options: Any) -> None:
        agent: Agent[Turn[State], str] = Agent(deps_type=Turn[State])
        self.voice = VoiceAgent("desk", agent, state=State, backchannels=True, **options)

        @agent.tool
        async def leave(ctx: RunContext[Turn[State]]) -> str:
            ctx.deps.hangup()
            return "left"

        @agent.tool
        async def leave_slowly(ctx: RunContext[Turn[State]]) -> str:
            await asyncio.sleep(0)
            ctx.deps.hangup()
            ctx.deps.say("One second. ")
            await asyncio.sleep(60)
            return "left"


async def test_a_cancelled_tool_does_not_end_the_call_after_the_next_listening_sound() -> None:
    async with open_call(Goodbyes().voice, model=scripted(Call("leave_slowly"), "And more.")) as call:
        call.interrupt(after="One second.")
        first = await call.say("bye")
        second = await call.say("mhm")
    assert first.record is not None
    assert second.record is not None
    assert (first.record.hangup, second.record.hangup) == (False, False)


async def test_a_tool_that_times_out_does_not_end_the_call() -> None:
    voice = Goodbyes(tool_timeout=0.2).voice
    async with open_call(voice, model=scripted(Call("leave_slowly"), "I am still here.")) as call:
        turn = await call.say("bye")
    assert turn.record is not None
    assert (turn.spoken, turn.record.hangup) == ("One second. I am still here.", False)


async def test_a_tool_that_ended_the_call_still_does_when_another_one_is_cancelled() -> None:
    async with open_call(Goodbyes().voice, model=scripted([Call("leave_slowly"), Call("leave")], "x")) as call:
        call.interrupt(after="One second.")
        turn = await call.say("bye")
    assert turn.record is not None
    assert turn.record.hangup


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int = 0


async def test_extra_fields_of_a_cancelled_tool_are_removed_or_restored() -> None:
    state = LiveState.load(Open, {"tags": ["x"]}, "c")
    extra = state.model.model_extra
    assert extra is not None
    for _ in range(2):
        work = object()
        state.begin(work)
        extra["note"] = "half"
        extra["tags"].append("half")
        state.cancel(work)
        assert extra == {"tags": ["x"]}
        assert state.fields() == {"n": 0, "tags": ["x"]}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_a_wrong_value_in_another_field_does_not_prevent_the_undoing() -> None:
    state, work = LiveState.load(State, {"quick": 3}, "c"), object()
    vars(state.model)["quick"] = "twelve"
    state.begin(work)
    state.model.half = 1
    state.cancel(work)
    assert vars(state.model)["quick"] == "twelve"
    assert state.model.half == 0
