"""An `AgentCall` as users of the test kit make it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import Call, SessionEnd, Stage, Turn, VoiceAgent
from layercode_app.exceptions import DeveloperError
from layercode_app.journal.record import Status
from layercode_app.journal.stores import create_store
from layercode_app.testing import Called, Clock, ScriptedModelError, events, open_call, scripted
from layercode_app.testing.call import CallError


class Basket(BaseModel):
    items: dict[str, int] = {}


def shop() -> VoiceAgent[Any, Any]:
    agent = Agent(deps_type=Turn[Basket])
    voice = VoiceAgent("shop", agent, state=Basket, greeting="Welcome!")

    @agent.tool
    async def add(ctx: RunContext[Turn[Basket]], item: str, quantity: int = 1) -> str:
        ctx.deps.state.items[item] = quantity
        ctx.deps.data({"basket": ctx.deps.state.items})
        return f"{quantity} {item} added"

    @agent.tool_plain
    async def pay(card: dict[str, Any]) -> str:
        raise AssertionError("a test must not pay")

    @voice.on_data
    async def page(turn: Turn[Basket], data: Any) -> Any:
        return {"got": data, "items": turn.state.items}

    return voice


def counting() -> VoiceAgent[Any, Any]:
    voice = VoiceAgent("counting", history=True)

    @voice.on_message
    async def count(turn: Turn) -> AsyncIterator[str]:
        if turn.text == "heard?":
            yield turn.past[-1].heard
            return
        for word in ("one ", "two ", "three ", "four ", "five ", "six"):
            yield word
            await asyncio.sleep(0.02)

    return voice


async def test_what_is_heard_and_done_can_be_asserted(start_call: Any) -> None:
    call = start_call(
        shop(), model=scripted(["Let me see. ", Call("add", {"item": "bun", "quantity": 2})], "Two buns.")
    )
    greeting = await call.greet()
    turn = await call.say("Two buns, please")

    assert greeting.spoken == "Welcome!"
    assert turn.spoken == "Let me see. Two buns."
    assert turn.data == [{"basket": {"bun": 2}}]
    assert turn.types[-1] == "response.end"
    assert Called("add", item="bun") in turn.tools
    assert turn.tools == ["add"]
    assert 0 < turn.ttfs <= turn.total
    assert await call.state() == {"items": {"bun": 2}}
    assert [turn.turn_id for turn in call.turns] == ["turn-1", "turn-2"]


async def test_tools_match_in_any_order_each_by_a_call_of_its_own(start_call: Any) -> None:
    buns, tea = Call("add", {"item": "bun", "quantity": 2}), Call("add", {"item": "tea"})
    turn = await start_call(shop(), model=scripted([buns, tea], "Done.")).say("Both")

    assert turn.tools == [Called("add", item="tea"), Called("add", item="bun", quantity=2)]
    assert turn.tools.include(Called("add", item="tea"))
    assert not turn.tools.include(Called("add", item="tea"), Called("add", item="tea"))
    assert turn.tools != [Called("add", item="bun")]
    assert turn.tools != ["add", "add", "add"]
    assert Called("add", item="cake") not in turn.tools
    assert "pay" not in turn.tools
    assert "add(item='bun', quantity=2) -> '2 bun added' (done)" in repr(turn.tools)


async def test_a_mocked_tool_does_not_run_and_the_others_do(start_call: Any) -> None:
    pay = Call("pay", {"card": {"number": "4111", "expires": {"year": 2030, "month": 1}}})
    call = start_call(shop(), model=scripted([Call("add", {"item": "bun"}), pay], "Paid."))
    call.mock("pay", returns="approved")
    turn = await call.say("A bun")

    assert [call.result for call in turn.tools] == ["1 bun added", "approved"]
    assert Called("pay", card={"expires": {"year": 2030}}) in turn.tools
    assert Called("pay", card={"expires": {"year": 2031}}) not in turn.tools


async def test_a_tool_of_a_stage_can_be_mocked(start_call: Any) -> None:
    async def charge() -> str:
        raise AssertionError("no test may charge a card")

    voice = VoiceAgent("till", Agent(), stages=[Stage("order", then="payment"), Stage("payment", tools=[charge])])
    call = start_call(voice, model=scripted(Call("next_stage"), Call("charge"), "Paid."))
    call.mock("charge", returns="charged")
    turn = await call.say("Charge me")
    assert [call.result for call in turn.tools][1:] == ["charged"]
    with pytest.raises(DeveloperError, match="'till' has no tool of that name; expected one of charge"):
        call.mock("charged", returns="fine")


async def test_a_mock_may_compute_or_fail(start_call: Any) -> None:
    call = start_call(shop(), model=scripted(Call("add", {"item": "bun"}), "Fine.", Call("add", {"item": "bun"}), "x"))

    async def added(item: str, quantity: int) -> str:
        return item.upper() * quantity

    call.mock("add", added)
    assert (await call.say("One")).tools[0].result == "BUN"
    call.mock("add", raises=RuntimeError("the oven is broken"))
    failed = await call.say("Two")
    assert str(failed.error) == "the oven is broken"
    assert failed.record.status is Status.FAILED
    with pytest.raises(TypeError, match="expected exactly one of"):
        call.mock("add")
    with pytest.raises(DeveloperError, match="'shop' has no tool of that name; expected one of add, pay"):
        call.mock("ad", returns="fine")


async def test_a_mocked_tool_is_asked_about_like_the_real_one(start_call: Any) -> None:
    agent = Agent()
    voice = VoiceAgent("baker", agent, confirm={"order": "Shall I order?"}, notices=True)

    @agent.tool_plain
    async def order() -> str:
        raise AssertionError("a test must not order")

    call = start_call(voice, model=scripted(Call("order"), "It is ordered."))
    call.mock("order", returns="ordered")
    asked = await call.say("A bun")
    assert (asked.spoken, asked.tools, asked.data) == ("Shall I order?", [], [])
    done = await call.say("yes")
    assert (done.spoken, done.tools) == ("It is ordered.", ["order"])
    assert [notice["tool"]["status"] for notice in done.data] == ["running", "done"]


@pytest.mark.parametrize(("after", "heard"), [(2, "one two"), ("two thr", "one two thr"), (None, "")])
@pytest.mark.parametrize("playing", [False, True])
async def test_the_agent_remembers_what_was_heard(start_call: Any, after: Any, heard: str, playing: bool) -> None:
    call = start_call(counting())
    call.interrupt(after=after, playing=playing)
    cut = await call.say("Count")
    assert cut.interrupted
    assert cut.heard == heard
    assert ("response.end" in cut.types) is playing
    assert cut.record.status is (Status.COMPLETE if playing else Status.INTERRUPTED)
    assert (await call.say("heard?")).spoken == heard
    assert (await call.say("Count")).heard == "one two three four five six"


@pytest.mark.parametrize(
    ("after", "playing", "why"),
    [
        (7, False, "the reply had fewer than 7 words"),
        (7, True, "the reply had fewer than 7 words"),
        ("seven", False, "'seven' was not said"),
        (60.0, False, "the reply was complete before 60.0 seconds had passed"),
    ],
)
async def test_an_interruption_that_never_comes_is_told(start_call: Any, after: Any, playing: bool, why: str) -> None:
    call = start_call(counting())
    call.interrupt(after=after, playing=playing)
    with pytest.raises(
        CallError, match=f"did not interrupt, because {why}; the reply was: 'one two three four five six'"
    ):
        await call.say("Count")


async def test_seconds_cut_a_reply_too(start_call: Any) -> None:
    call = start_call(counting())
    call.interrupt(after=0.05)
    cut = await call.say("Count")
    assert "six" not in cut.spoken
    assert cut.record.status is Status.INTERRUPTED


async def test_seconds_count_from_the_request_even_while_the_agent_is_silent(start_call: Any) -> None:
    silent: VoiceAgent[Any, Any] = VoiceAgent("silent")

    @silent.on_message
    async def answer(turn: Turn) -> str:
        if turn.text == "Go on":
            return "Here I am."
        await asyncio.sleep(60)
        return "Too late."

    call = start_call(silent)
    for after in (0.05, 0.000_001):
        call.interrupt(after=after)
        cut = await call.say("Hello")
        assert (cut.spoken, cut.heard, cut.interrupted) == ("", "", True)
        assert cut.record.status is Status.INTERRUPTED
    assert (await call.say("Go on")).spoken == "Here I am."


async def test_a_turn_that_is_delivered_again_runs_once(start_call: Any) -> None:
    call = start_call(shop(), model=scripted(Call("add", {"item": "bun"}), "Done."))
    first = await call.say("A bun")
    again = await call.resend()
    assert [frame.payload for frame in again.frames] == [frame.payload for frame in first.frames]
    assert len(call.turns) == 1


async def test_ending_waits_for_the_hooks_and_hands_them_the_transcript(start_call: Any) -> None:
    ended: list[SessionEnd] = []
    voice = counting()

    @voice.on_session_end
    async def tally(event: SessionEnd) -> None:
        await asyncio.sleep(0.01)
        ended.append(event)

    call = start_call(voice)
    await call.say("Count")
    await call.end()
    assert [entry.text for entry in ended[0].transcript] == ["Count", "one two three four five six"]
    call.reconnect()
    await call.end()
    assert [event.session_id for event in ended] == ["session-1", "session-2"]


async def test_a_failing_hook_fails_the_end(start_call: Any) -> None:
    voice = counting()

    @voice.on_session_end
    async def tally(event: SessionEnd) -> None:
        raise ValueError("no paper")

    call = start_call(voice)
    await call.say("Count")
    with pytest.raises(CallError, match=r"(?s)ValueError: no paper.*caller: Count"):
        await call.end()


async def test_data_and_other_events_are_answered(start_call: Any) -> None:
    call = start_call(shop())
    assert await call.send_data({"page": 1}) == {"got": {"page": 1}, "items": {}}
    assert await call.update() == {"ok": True}
    assert await call.send(events.session_start(turn_id=None)) == {"ok": True}
    assert (await call.send(events.welcome()))[0]["content"] == "Welcome!"
    assert await call.send({"type": "of.tomorrow"}) == {"ok": True}


async def test_a_real_model_is_not_asked(start_call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    call = start_call(Agent("openai:gpt-5-mini", name="real"))
    with pytest.raises(CallError, match=r"(?s)called a real model.*@pytest.mark.real_model.*caller: Hello"):
        await call.say("Hello")


async def test_a_script_that_is_too_short_says_so(start_call: Any) -> None:
    call = start_call(shop(), model=scripted("Hello."))
    await call.say("One")
    with pytest.raises(ScriptedModelError, match=r"has 1 answers and was called once more.*'Two'"):
        await call.say("Two")


async def test_the_clock_stands_still(clock: Clock, start_call: Any) -> None:
    call = start_call(counting())
    before = time.time()
    first = await call.say("Count")
    clock.advance(3600)
    second = await call.say("Count")
    assert (first.record.started_at, second.record.started_at) == (before, before + 3600)
    assert first.total > 0


@pytest.mark.anyio
async def test_a_journal_on_disk_outlives_the_call(tmp_path: Path) -> None:
    for expected in ({"bun": 1}, {"bun": 1, "tea": 1}):
        store = create_store(f"sqlite:///{tmp_path}/journal.sqlite3")
        item = list(expected)[-1]
        async with open_call(shop(), store=store, model=scripted(Call("add", {"item": item}), "Done.")) as call:
            await call.say(item, turn_id=item)
            assert await call.state() == {"items": expected}


@pytest.mark.anyio
async def test_the_folder_of_agents_may_be_a_text(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from layercode_app import VoiceAgent\n\nagent = VoiceAgent('mine', greeting='Hi')"
    )
    async with open_call("mine", agents=str(tmp_path)) as call:
        assert (await call.greet()).spoken == "Hi"


async def test_the_agent_itself_is_left_as_it_was(start_call: Any) -> None:
    voice = shop()
    before = vars(voice).copy()
    call = start_call(voice, model=scripted("Hello."))
    call.mock("add", returns=None)
    await call.say("Hello")
    assert vars(voice) == before


@pytest.mark.agent("bakery", agents=Path(__file__).parent.parent.parent / "agents")
async def test_an_agent_file_is_called_by_its_name(call: Any) -> None:
    turn = await call.say("Two croissants, please")
    assert Called("add_item", item="croissant", quantity=2) in turn.tools
    assert [record.user_text for record in await call.records()] == ["Two croissants, please"]
