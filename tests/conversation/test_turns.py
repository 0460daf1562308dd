"""Turns from the caller's view: tools, interruptions, deadlines, guards, fillers, tasks, and the end of a session."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import HookError, LayerCode, Turn, VoiceAgent

from ..calling import calling, settings
from ..thoroughness import times
from .shop import Shop, ended, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("told", "heard", "status"),
    [
        ({"previous_turn_interrupted": False, "text_heard": "", "words_heard": 0}, "One two three.", "complete"),
        ({"previous_turn_interrupted": False, "text_heard": "One two three."}, "One two three.", "complete"),
        ({"previous_turn_interrupted": False}, "One two three.", "complete"),
        ({"text_heard": "One two"}, "One two", "interrupted"),
        ({"previous_turn_interrupted": True, "words_heard": 1}, "One", "interrupted"),
    ],
)
async def test_a_reply_is_corrected_only_if_it_was_interrupted(
    told: dict[str, Any], heard: str, status: str, tmp_path: Path
) -> None:
    agent = VoiceAgent("counter")

    @agent.on_message
    async def count(turn: Turn) -> str:
        return "One two three."

    app = LayerCode(agent, settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("Count", turn_id="t")
        await caller.say("Thanks", interruption_context=told | {"assistant_turn_id": "t"})
        record = await ended(app, caller, "t")
    assert (record.heard, record.status) == (heard, status)


async def test_a_tool_over_its_time_fails_for_the_model_and_the_turn_goes_on(tmp_path: Path) -> None:
    shop = Shop(tool_timeout=0.05)
    async with calling(LayerCode(shop.voice, settings=settings(tmp_path))) as caller:
        reply = await caller.say("order")

    assert reply.spoken == "One moment. Anything else?"
    assert "took longer than 0.05 s" in shop.told()


async def test_a_turn_over_its_time_ends_with_its_own_apology(tmp_path: Path) -> None:
    shop = Shop(turn_timeout=1, timeout_apology="That takes too long.")
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("order", turn_id="t")
        record = await ended(app, caller, "t")

    assert reply.spoken == "One moment. That takes too long."
    assert (record.status, record.error_category, record.impact) == ("failed", "timeout", "apology")


async def test_a_filler_covers_a_silence_and_only_a_silence(tmp_path: Path) -> None:
    agent = VoiceAgent("slow", filler="Let me think.", filler_after=0.05)

    @agent.on_message
    async def think(turn: Turn) -> str:
        await asyncio.sleep(0.2 if turn.text == "hard" else 0)
        return "Done."

    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        assert (await caller.say("hard")).spoken == "Let me think. Done."
        assert (await caller.say("easy")).spoken == "Done."


async def test_an_apology_is_kept_apart_from_the_words_before_it(tmp_path: Path) -> None:
    agent = VoiceAgent("broken", apology="Sorry!")

    @agent.on_message
    async def fail(turn: Turn) -> None:
        turn.say("The answer is")
        raise RuntimeError("no")

    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        assert (await caller.say("x")).spoken == "The answer is Sorry!"


async def test_a_guard_stops_the_speech_and_says_why(tmp_path: Path) -> None:
    async def guard(turn: Turn) -> str | None:
        while not turn.live.spoken.begun:
            await asyncio.sleep(0.01)
        return "I may not talk about that." if "secret" in turn.text else None

    async def words(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield "Well, "
        await asyncio.sleep(0.3)
        yield "it is this."

    agent = VoiceAgent("guarded", Agent(FunctionModel(stream_function=words)), guard=guard)
    app = LayerCode(agent, settings=settings(tmp_path))
    async with calling(app) as caller:
        stopped = await caller.say("tell me the secret", turn_id="t")
        allowed = await caller.say("tell me the time")
        record = await ended(app, caller, "t")

    assert stopped.spoken == "Well, I may not talk about that."
    assert allowed.spoken == "Well, it is this."
    assert (record.status, record.impact) == ("complete", "refusal")


async def test_a_guard_that_fails_lets_nothing_more_through(tmp_path: Path) -> None:
    async def guard(turn: Turn) -> str | None:
        raise RuntimeError("the guard is ill")

    async def words(messages: list[ModelMessage], info: AgentInfo) -> Any:
        await asyncio.sleep(0.2)
        yield "Secret."

    agent = VoiceAgent("guarded", Agent(FunctionModel(stream_function=words)), guard=guard)
    async with calling(LayerCode(agent, settings=settings(tmp_path, apology="Sorry!"))) as caller:
        assert (await caller.say("hello")).spoken == "Sorry!"


async def test_a_task_is_run_once_and_tried_again_also_after_a_restart(tmp_path: Path) -> None:
    sent: list[str] = []
    agent = VoiceAgent("mail")

    @agent.task
    async def send(to: str) -> None:
        if not sent:
            sent.append("failed")
            raise ConnectionError("the mail server is down")
        sent.append(to)

    @agent.on_message
    async def order(turn: Turn) -> str:
        turn.background(send, to=turn.text)
        return "I will send it."

    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        await caller.say("ada", turn_id="t")
        await caller.say("ada", turn_id="t")
        await until(lambda: _has(sent, 1))
    async with calling(LayerCode(agent, settings=settings(tmp_path))):
        await until(lambda: _has(sent, 2))
        await asyncio.sleep(0.1)

    assert sent == ["failed", "ada"]


async def _has(items: list[str], count: int) -> bool:
    return len(items) >= count


async def test_a_function_that_is_no_task_is_refused_with_the_mend(tmp_path: Path) -> None:
    agent = VoiceAgent("mail")
    refused: list[str] = []

    async def send() -> None: ...

    @agent.on_message
    async def order(turn: Turn) -> str:
        with pytest.raises(HookError) as error:
            turn.background(send)
        refused.append(str(error.value))
        return "ok"

    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        await caller.say("x")
    assert "@agent.task" in refused[0]


async def test_a_resumed_conversation_can_be_greeted_differently(tmp_path: Path) -> None:
    agent = VoiceAgent("host", greeting=lambda turn: "Welcome back!" if turn.resumed else "Welcome!")
    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        first = await caller.send({"type": "session.start", "turn_id": "g1"})
        caller.session_id = "session-2"
        second = await caller.send({"type": "session.start", "turn_id": "g2"})
    assert (first.spoken, second.spoken) == ("Welcome!", "Welcome back!")


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("tokens", [8000, 20])
async def test_every_turn_of_a_later_session_is_resumed(tmp_path: Path, history: bool, tokens: int) -> None:
    agent = VoiceAgent("host", history=history, greeting=lambda turn: f"{turn.resumed}")

    @agent.on_message
    async def answer(turn: Turn) -> str:
        return f"{turn.resumed}"

    async with calling(LayerCode(agent, settings=settings(tmp_path, history_tokens=tokens))) as caller:
        for session, resumed in (("session-1", "False"), ("session-2", "True"), ("session-3", "True")):
            caller.session_id = session
            spoken = [(await caller.send({"type": "session.start", "turn_id": f"greeting-{session}"})).spoken]
            spoken += [(await caller.say(f"message {number} with several words")).spoken for number in range(3)]
            assert spoken == [resumed] * 4


async def test_a_state_that_no_longer_fits_is_an_apology_and_a_clear_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Older(BaseModel):
        size: str = "large"

    class Newer(BaseModel):
        size: int = 1

    def agent(kind: type[BaseModel]) -> VoiceAgent[Any, Any]:
        voice = VoiceAgent("sized", state=kind)

        @voice.on_message
        async def answer(turn: Turn[Any]) -> str:
            return f"Size {turn.state.size}."

        return voice

    async with calling(LayerCode(agent(Older), settings=settings(tmp_path))) as caller:
        assert (await caller.say("x")).spoken == "Size large."
        conversation = caller.conversation_id
    app = LayerCode(agent(Newer), settings=settings(tmp_path, apology="Sorry!"))
    async with calling(app) as caller:
        caller.conversation_id = conversation
        reply = await caller.say("x", turn_id="t")
        record = await ended(app, caller, "t")
    assert reply.spoken == "Sorry!"
    assert (record.error, record.error_category) == ("StateError", "parsing")


@pytest.mark.slow
async def test_six_hundred_interrupted_turns_leave_nothing_behind(tmp_path: Path) -> None:
    async def words(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield "Well, "
        await asyncio.sleep(30)
        yield "never"

    app = LayerCode(VoiceAgent("slow", Agent(FunctionModel(stream_function=words))), settings=settings(tmp_path))
    async with calling(app) as caller:

        async def interrupted(number: int) -> None:
            ids = {"conversation_id": f"c{number}", "session_id": "s", "turn_id": "t"}
            async with caller.client.deliver({"type": "message", "text": "x", **ids}) as answer:
                async for _ in answer.frames():
                    break

        tasks = len(asyncio.all_tasks())
        for batch in range(times(6)):
            await asyncio.gather(*(interrupted(batch * 100 + number) for number in range(100)))

        async def nothing_runs() -> bool:
            return not app.turns.running

        await until(nothing_runs)
        await asyncio.sleep(0.2)
        statuses = {record.status async for record in app.store.turns()}
        assert len(asyncio.all_tasks()) <= tasks
    assert statuses == {"interrupted"}
