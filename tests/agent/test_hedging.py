"""A slow request is sent a second time: one answer is spoken, one tool call runs, and both streams are closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import LayerCode, Message, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.exceptions import ConfigurationError, DeveloperError
from layercode_app.journal.record import ModelCall, Status, TurnRecord
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.observability.metrics import HEDGES, Row, use
from layercode_app.observability.turns import turn_finished
from layercode_app.reports.report import make_report
from layercode_app.reports.text import as_text

from ..calling import calling, settings
from ..conversation.world import Ear
from ..model_server import ModelServer
from ..serving import serve

pytestmark = pytest.mark.anyio

SOON = 0.001
"""A very short delay before the second request. The first one cannot be faster, because it waits for the test."""
NEVER = 60.0


@dataclass
class Sent:
    """One request to the model. Its response begins, or fails, when the test sets `go`."""

    number: int
    tool: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    closed: bool = False

    async def events(self, answered: bool) -> AsyncIterator[Any]:
        try:
            await self.go.wait()
            if self.fails:
                raise ZeroDivisionError if self.number == 1 else ValueError
            if self.tool and not answered:
                yield {0: DeltaToolCall("order", "{}", tool_call_id=f"call-{self.number}")}
            else:
                yield f"{self.number}: one "
                await asyncio.sleep(0)
                yield "two"
        finally:
            self.closed = True


@dataclass
class World:
    """A conversation with an agent. The test decides when each request to its model is answered or fails."""

    tool: bool = False
    after: float = SOON
    at_once: tuple[int, ...] = ()
    """The numbers of the requests that do not wait."""
    sent: list[Sent] = field(default_factory=list)
    orders: int = 0
    store: MemoryStore = field(default_factory=MemoryStore)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        agent = Agent(FunctionModel(stream_function=self._answer, model_name="first"))
        agent.tool_plain(self.order)
        second = FunctionModel(stream_function=self._answer, model_name="second")
        self.voice = VoiceAgent("hedged", agent, hedge_after=self.after, hedge_model=second)
        self.handler = TurnHandler(self.store)

    async def order(self) -> str:
        self.orders += 1
        return "ordered"

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        sent = Sent(len(self.sent) + 1, self.tool)
        answered = isinstance(messages[-1].parts[-1], ToolReturnPart)
        if answered or sent.number in self.at_once:
            sent.go.set()
        self.sent.append(sent)
        async with self.more:
            self.more.notify_all()
        async for event in sent.events(answered):
            yield event

    async def wait_for(self, count: int) -> None:
        async with self.more:
            await self.more.wait_for(lambda: len(self.sent) >= count)

    async def ask(self) -> TurnRecord:
        event = Message.model_validate({"session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "hello"})
        await self.handler.admit(AgentRunner(self.voice), event, Ear().listener, received=time.perf_counter())
        return await self.record()

    async def record(self) -> TurnRecord:
        record = await self.store.get("c", "t")
        assert record is not None
        return record


def own_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "model-request"]


def rows(record: TurnRecord) -> list[tuple[str, str, str]]:
    return [(call.model, call.status, call.hedge) for call in record.requests]


async def race(world: World, *steps: str) -> TurnRecord:
    """Ask the agent, and let its two requests answer or fail in the order of `steps`, such as "1" and "2 fails"."""
    asking = asyncio.create_task(world.ask())
    await world.wait_for(2)
    for step in steps:
        number, _, fails = step.partition(" ")
        world.sent[int(number) - 1].fails = bool(fails)
        world.sent[int(number) - 1].go.set()
        await asyncio.sleep(0.01)
    return await asking


async def test_the_second_request_answers_when_the_first_is_slow() -> None:
    world = World()
    record = await race(world, "2")
    assert (record.spoken_text, record.status) == ("2: one two", Status.COMPLETE)
    assert rows(record) == [("first", "cancelled", "slow"), ("second", "done", "won")]
    assert record.hedges == (1, 1)
    assert record.model == "second"
    assert record.usage["requests"] == 2
    assert record.usage["unknown_requests"] == 1
    assert all(sent.closed for sent in world.sent)
    assert not own_tasks()


async def test_the_first_request_may_still_answer_first() -> None:
    world = World()
    record = await race(world, "1")
    assert record.spoken_text == "1: one two"
    assert rows(record) == [("first", "done", ""), ("second", "cancelled", "lost")]
    assert (record.hedges, record.model) == ((1, 0), "first")
    assert all(sent.closed for sent in world.sent)


async def test_a_request_that_begins_in_time_is_sent_once() -> None:
    world = World(after=NEVER, at_once=(1,))
    record = await world.ask()
    assert record.spoken_text == "1: one two"
    assert (len(world.sent), record.hedges, "unknown_requests" in record.usage) == (1, (0, 0), False)


@pytest.mark.parametrize(("steps", "spoken"), [(("1 fails", "2"), "2"), (("2 fails", "1"), "1")])
async def test_when_one_request_fails_the_other_answers(steps: tuple[str, ...], spoken: str) -> None:
    record = await race(World(), *steps)
    assert record.spoken_text == f"{spoken}: one two"
    assert [status for _, status, _ in rows(record)] == (["failed", "done"] if spoken == "2" else ["done", "failed"])
    assert "unknown_requests" not in record.usage


async def test_when_both_fail_the_error_is_that_of_the_first() -> None:
    record = await race(World(), "2 fails", "1 fails")
    assert (record.status, record.error) == (Status.FAILED, "ZeroDivisionError")
    assert not own_tasks()


async def test_a_tool_that_both_would_call_runs_once() -> None:
    world = World(tool=True)
    record = await race(world, "2", "1")
    assert (world.orders, [call.id for call in record.tools]) == (1, ["call-2"])
    assert record.spoken_text.endswith("one two")


steps = st.permutations(["1", "2", "abort"]).flatmap(
    lambda order: st.tuples(
        *[st.sampled_from([one, f"{one} fails"]) if one != "abort" else st.just(one) for one in order]
    )
)


@given(steps, st.booleans(), st.lists(st.integers(0, 4), min_size=3, max_size=3), st.booleans())
@pytest.mark.slow
def test_nothing_is_spoken_or_run_twice_whatever_happens(
    order: tuple[str, ...], tool: bool, pauses: list[int], aborts: bool
) -> None:
    anyio.run(_check_a_race, order if aborts else tuple(one for one in order if one != "abort"), tool, pauses)


async def _check_a_race(order: tuple[str, ...], tool: bool, pauses: list[int]) -> None:
    world = World(tool=tool)
    asking = asyncio.create_task(world.ask())
    await world.wait_for(2)
    for step, pause in zip(order, pauses, strict=False):
        if step == "abort":
            if "c" in world.handler.running:
                world.handler.running["c"].stop(Status.INTERRUPTED)
        else:
            sent = world.sent[int(step[0]) - 1]
            sent.fails = "fails" in step
            sent.go.set()
        for _ in range(pause):
            await asyncio.sleep(0)
    await asking
    record = await world.record()
    assert record.finished
    spoken = {piece for piece in record.spoken_text.replace("two", " ").split() if piece.endswith(":")}
    assert len(spoken) <= 1
    assert record.spoken_text.count("one") <= 1
    assert world.orders <= 1
    assert len(record.tools) <= 1
    assert not own_tasks()
    assert all(sent.closed for sent in world.sent if sent.go.is_set() or "abort" in order)
    assert record.hedges[0] >= record.hedges[1]
    if "abort" not in order and not all("fails" in step for step in order):
        assert record.status is Status.COMPLETE
        assert "one two" in record.spoken_text


async def test_each_sink_tells_hedged_requests_apart() -> None:
    class Sink:
        def __init__(self) -> None:
            self.rows: list[Row] = []

        def add(self, rows: Any) -> None:
            self.rows += rows

    world, sink = World(), Sink()
    record = await race(world, "2")
    use([sink])
    try:
        turn_finished(record)
    finally:
        use([])
    assert (HEDGES, 1, ("hedged", "true")) in sink.rows
    report = await make_report(world.store)
    assert report.total.as_json()["hedges"] == {"sent": 1, "won": 1, "share": 1.0, "cost_at_most": None}
    assert "1 of 1 model requests (100.0%) were sent a second time; the second was faster 1 times" in as_text(report)


async def test_the_cost_of_hedging_is_at_most_that_of_the_answers() -> None:
    store = MemoryStore()
    record = TurnRecord("c", "t", "message", "a", started_at=time.time())  # type: ignore[arg-type]
    await store.begin(record, history_tokens=0)
    answer = {"requests": 1, "unpriced_requests": 0}
    record.requests = [
        ModelCall("m", 0.0, status="cancelled", hedge="slow", usage={"requests": 1, "unknown_requests": 1}),
        ModelCall("m", 1.0, status="done", hedge="won", usage=answer, cost=0.25),
        ModelCall("m", 2.0, status="done", usage=answer, cost=0.5),
        ModelCall("m", 3.0, status="cancelled", hedge="lost", usage={"requests": 1, "unknown_requests": 1}),
        ModelCall("m", 4.0, status="done", usage=answer, cost=7.0),
    ]
    record.status = Status.COMPLETE
    await store.save(record)
    hedges = (await make_report(store)).total.as_json()["hedges"]
    assert hedges == {"sent": 2, "won": 1, "share": 0.6667, "cost_at_most": 0.75}


def test_a_hedge_model_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    voice = VoiceAgent("a", Agent(FunctionModel(lambda messages, info: None)))  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigurationError, match="LAYERCODE_HEDGE_MODEL nosuch:model"):
        LayerCode(voice, settings=settings(tmp_path, hedge_model="nosuch:model"))
    with pytest.raises(DeveloperError, match="hedge_after='soon': expected a number of seconds"):
        VoiceAgent("a", Agent(), hedge_after="soon")  # type: ignore[call-overload]


async def test_the_connection_of_the_slow_request_is_closed(tmp_path: Path) -> None:
    server = ModelServer(reply=lambda messages: "Good day.", hang="body", hangs=1)
    async with serve(server.app) as url:
        model = OpenAIChatModel("gpt-5-mini", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="test-key"))
        voice = VoiceAgent("hedged", Agent(model))
        async with calling(LayerCode(voice, settings=settings(tmp_path, hedge_after=0.05))) as caller:
            assert (await caller.say("hello")).spoken == "Good day."
            while server.open_streams:
                await asyncio.sleep(0.01)
    assert len(server.requests) == 2
