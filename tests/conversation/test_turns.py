"""Turns from the caller's view: tools, interruptions, deadlines, guards, fillers, tasks, and the end of a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import HookError, LayerCode, SessionEnd, Turn, VoiceAgent
from layercode_app.conversation.states import LiveStates
from layercode_app.journal.forget import forget
from layercode_app.journal.record import TurnRecord

from ..calling import Caller, calling, settings
from ..thoroughness import times

pytestmark = pytest.mark.anyio


class Orders(BaseModel):
    placed: int = 0
    tried: int = 0


class Shop:
    """An agent whose tool waits until it is let go; its model calls the tool when the caller orders."""

    def __init__(self, **options: Any) -> None:
        self.started = asyncio.Event()
        self.proceed = asyncio.Event()
        self.receipts: list[str] = []
        self.seen: list[list[ModelMessage]] = []
        agent = Agent(FunctionModel(stream_function=self._model), deps_type=Turn[Orders])

        @agent.tool
        async def order(ctx: RunContext[Turn[Orders]]) -> str:
            ctx.deps.state.tried += 1
            self.started.set()
            await self.proceed.wait()
            ctx.deps.state.placed += 1
            ctx.deps.background(receipt, to="ada")
            return "order 7 placed"

        self.voice = VoiceAgent("shop", agent, state=Orders, **options)

        @self.voice.task
        async def receipt(to: str) -> None:
            self.receipts.append(to)

    async def _model(self, messages: list[ModelMessage], info: AgentInfo) -> Any:
        self.seen.append(messages)
        last = messages[-1].parts[-1]
        if isinstance(last, UserPromptPart) and last.content == "order":
            yield "One moment. "
            yield {1: DeltaToolCall(name="order", json_args="{}", tool_call_id=f"call-{len(messages)}")}
        else:
            yield "Anything else?"

    def told(self) -> str:
        """All that the last request told the model."""
        return "\n".join(str(getattr(part, "content", "")) for message in self.seen[-1] for part in message.parts)


async def interrupt_in_the_tool(caller: Caller, shop: Shop) -> None:
    ids = {"conversation_id": caller.conversation_id, "session_id": "s"}
    event = {"type": "message", "turn_id": "ordering", "text": "order", **ids}
    async with caller.client.deliver(event):
        await shop.started.wait()


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    for _ in range(300):
        if found := await condition():
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


async def ended(app: LayerCode, caller: Caller, turn_id: str) -> TurnRecord:
    async def found() -> TurnRecord | None:
        record = await app.store.get(caller.conversation_id, turn_id)
        return record if record is not None and record.finished else None

    record = await until(found)
    assert isinstance(record, TurnRecord)
    return record


async def test_a_tool_is_cancelled_with_its_turn_and_its_half_done_work_is_undone(tmp_path: Path) -> None:
    shop = Shop()
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        record = await ended(app, caller, "ordering")
        await caller.say("hello")
        kept = await app.store.conversation(caller.conversation_id)

    assert [(call.name, call.status) for call in record.tools] == [("order", "cancelled")]
    assert kept.state == {"placed": 0, "tried": 0}
    assert "interrupted" in shop.told()


@pytest.mark.parametrize("policy", ["finish", "finish_and_tell"])
async def test_a_tool_that_must_finish_outlives_its_turn_and_the_next_one_knows(policy: str, tmp_path: Path) -> None:
    shop = Shop(tools={"order": policy})
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        await ended(app, caller, "ordering")
        shop.proceed.set()

        async def done() -> bool:
            record = await app.store.get(caller.conversation_id, "ordering")
            return record is not None and record.tools[0].status == "done"

        await until(done)
        await caller.say("hello")
        kept = await app.store.conversation(caller.conversation_id)

    assert kept.state == {"placed": 1, "tried": 1}
    assert shop.receipts == ["ada"]
    returned = [p.content for m in shop.seen[-1] for p in m.parts if isinstance(p, ToolReturnPart)]
    assert returned == ["order 7 placed"]
    assert ("finished after the interruption" in shop.told()) == (policy == "finish_and_tell")


@pytest.mark.parametrize("when", ["while it runs", "while its changes are saved"])
async def test_a_tool_that_outlives_a_forgotten_call_leaves_nothing(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, released = Shop(tools={"order": "finish"}), asyncio.Event()
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    release, save = LiveStates.release, app.store.save_state

    async def release_and_tell(states: LiveStates, *args: Any) -> None:
        if when == "while its changes are saved":
            monkeypatch.setattr(app.store, "save_state", forget_first)
        await release(states, *args)
        released.set()

    async def forget_first(conversation_id: str, state: dict[str, Any], *, turn_id: str | None = None) -> bool:
        await forget(app.store, conversation_id)
        return await save(conversation_id, state, turn_id=turn_id)

    monkeypatch.setattr(LiveStates, "release", release_and_tell)
    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        await ended(app, caller, "ordering")
        if when == "while it runs":
            await forget(app.store, caller.conversation_id)
        shop.proceed.set()
        await released.wait()
        kept = await app.store.conversation(caller.conversation_id)
        assert kept.state == {}
        assert await app.store.established() == []
        assert [turn async for turn in app.store.turns()] == []
        if when == "while it runs":
            assert not any(job.name == "task" for job in await app.store.pending_jobs())
    assert shop.receipts == [] or when == "while its changes are saved"


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


async def test_the_end_of_a_session_corrects_what_was_not_played_and_runs_its_hook_once(tmp_path: Path) -> None:
    agent = VoiceAgent("teller")
    ended_sessions: list[SessionEnd] = []

    @agent.on_message
    async def tell(turn: Turn) -> str:
        return "It is a long story about a fox."

    @agent.on_session_end
    async def note(event: SessionEnd) -> None:
        ended_sessions.append(event)

    app = LayerCode(agent, settings=settings(tmp_path))
    end = {
        "type": "session.end",
        "duration": 1200,
        "transcript": [
            {"role": "user", "text": "tell me", "timestamp": 1_700_000_000_000},
            {"role": "assistant", "text": "It is a long", "timestamp": "2026-01-01T00:00:00Z"},
        ],
    }
    async with calling(app) as caller:
        await caller.say("tell me", turn_id="t")
        await caller.send(end)
        await caller.send(end)
        await until(lambda: _has([str(event) for event in ended_sessions], 1))
        await asyncio.sleep(0.1)
        record = await ended(app, caller, "t")

    assert (record.status, record.heard_text) == ("interrupted", "It is a long")
    assert len(ended_sessions) == 1
    assert ended_sessions[0].transcript[0].text == "tell me"


@pytest.mark.parametrize("transcript", [[], [{"role": "assistant", "text": "It is a"}]])
async def test_the_end_of_a_session_waits_for_its_turn_and_corrects_it(transcript: list[Any], tmp_path: Path) -> None:
    agent, told, go_on = VoiceAgent("teller"), asyncio.Event(), asyncio.Event()
    spoken: list[str] = []

    @agent.on_message
    async def tell(turn: Turn) -> AsyncIterator[str]:
        yield "It is a long "
        told.set()
        await go_on.wait()
        yield "story about a fox."

    @agent.on_session_end
    async def note(event: SessionEnd) -> None:
        record = await app.store.get(event.conversation_id, "t")
        spoken.append(record.spoken_text if record else "")

    app = LayerCode(agent, settings=settings(tmp_path))
    end = {"type": "session.end", "transcript": transcript}
    async with calling(app) as caller:
        telling = asyncio.create_task(caller.say("tell me", turn_id="t"))
        await told.wait()
        ending = asyncio.create_task(caller.send(end))
        await until(lambda: app.store.get(caller.conversation_id, f"session.end-{caller.session_id}-"))
        go_on.set()
        assert (await telling).spoken == "It is a long story about a fox."
        await ending
        await until(lambda: _has(spoken, 1))
        record = await ended(app, caller, "t")
    assert spoken == ["It is a long story about a fox."]
    assert record.heard == ("It is a" if transcript else spoken[0])


async def test_a_resumed_conversation_can_be_greeted_differently(tmp_path: Path) -> None:
    agent = VoiceAgent("host", greeting=lambda turn: "Welcome back!" if turn.resumed else "Welcome!")
    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        first = await caller.send({"type": "session.start", "turn_id": "g1"})
        caller.session_id = "session-2"
        second = await caller.send({"type": "session.start", "turn_id": "g2"})
    assert (first.spoken, second.spoken) == ("Welcome!", "Welcome back!")


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
