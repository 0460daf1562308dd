"""An agent hands a call over to another agent, which has its own state, prompt and tools.

This also works with interruptions, duplicate events, another worker, confirmed tools, guards and background jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, model_validator
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Call, Summary, Turn, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.cli.sessions.view import print_conversation
from layercode_app.conversation.flow import MOST_HANDOVERS
from layercode_app.conversation.summary import summary_in
from layercode_app.journal.record import Status
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.replay.sandbox import Sandbox
from layercode_app.reports.report import make_report
from layercode_app.testing import open_call, scripted

from ..conversation.world import transcript, unpaired_calls

pytestmark = pytest.mark.anyio


class Seat(BaseModel):
    total: int = 1


class Account(BaseModel):
    total: str = "unpaid"


class Desk:
    """A front desk that hands calls to billing, and billing that hands them back."""

    def __init__(self, *, now: bool = False, say: str = "I'll get billing. ") -> None:
        self.seen: list[tuple[str, list[ModelMessage], AgentInfo]] = []
        front = Agent(FunctionModel(stream_function=self._front), deps_type=Turn[Seat], instructions="Front desk.")
        billing = Agent(FunctionModel(stream_function=self._billing), deps_type=Turn[Account], instructions="Billing.")

        @front.tool
        async def to_billing(ctx: RunContext[Turn[Seat]]) -> str:
            """Hand the caller to billing."""
            ctx.deps.state.total += 1
            ctx.deps.hand_to("billing", say=say, now=now)
            return "handed over"

        @billing.tool
        async def pay(ctx: RunContext[Turn[Account]]) -> str:
            """Take the payment."""
            ctx.deps.state.total = "paid"
            ctx.deps.hand_to("front")
            return "paid"

        self.front = VoiceAgent("front", front, state=Seat, filler=False)
        self.billing = VoiceAgent("billing", billing, state=Account, filler=False)

    async def _front(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.seen.append(("front", messages, info))
        assert unpaired_calls(messages) == []
        if isinstance(messages[-1].parts[-1], ToolReturnPart):
            yield "Somebody else will help you."
        elif transcript(messages)[-1][1] == "invoice":
            yield {0: DeltaToolCall("to_billing", "{}", tool_call_id=f"call-{len(messages)}")}
        else:
            yield "Front."

    async def _billing(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.seen.append(("billing", messages, info))
        assert unpaired_calls(messages) == []
        if isinstance(messages[-1].parts[-1], ToolReturnPart):
            yield "Paid. "
        elif transcript(messages)[-1][1] == "pay":
            yield {0: DeltaToolCall("pay", "{}", tool_call_id=f"call-{len(messages)}")}
        else:
            yield "Billing."


async def test_another_agent_answers_from_the_next_turn_on_and_hands_back() -> None:
    desk = Desk()
    async with open_call(desk.front, others=[desk.billing]) as call:
        assert (await call.say("invoice")).spoken == "I'll get billing. "
        assert (await call.say("hello")).spoken == "Billing."
        assert (await call.say("pay")).spoken == "Paid. "
        assert (await call.say("bye")).spoken == "Front."
        records = await call.records()
        assert await call.state() == {"total": 2}
    assert [record.agent for record in records] == ["front", "billing", "billing", "front"]
    assert [record.handed_to for record in records] == ["billing", "", "front", ""]
    assert [record.state for record in records][2:] == [{"total": "paid"}, {"total": 2}]
    assert len({record.fingerprint for record in records}) == 2
    who, messages, info = desk.seen[1]
    assert who == "billing"
    assert transcript(messages)[:2] == [("user", "invoice"), ("assistant", "I'll get billing. ")]
    assert [tool.name for tool in info.function_tools] == ["pay"]
    assert info.instructions == "Billing."


async def test_another_agent_goes_on_with_this_turn() -> None:
    desk = Desk(now=True)
    async with open_call(desk.front, others=[desk.billing]) as call:
        turn = await call.say("invoice")
        assert turn.spoken == "I'll get billing. Billing."
        assert (await call.resend()).spoken == turn.spoken
        assert (await call.say("hello")).spoken == "Billing."
        (first, second) = await call.records()
    assert (first.agent, first.handed_to, second.agent) == ("billing", "", "billing")
    assert [part.name for part in first.stages] == ["agent front"]
    assert first.usage["requests"] == 2
    told = str(desk.seen[1][1])
    assert "front has handed the caller to you after it had said" in told
    assert "handed over" in told
    assert transcript(desk.seen[2][1])[-2:] == [("assistant", "I'll get billing. Billing."), ("user", "hello")]


async def test_a_hand_over_survives_an_interruption_a_duplicate_and_another_worker() -> None:
    desk, store = Desk(), MemoryStore()
    async with open_call(desk.front, others=[desk.billing], store=store) as call:
        call.interrupt(after="I'll get", playing=True)
        await call.say("invoice")
        assert (await call.resend()).spoken == "I'll get billing. "
    assert len(desk.seen) == 1, "the duplicate ran nothing"
    async with open_call(desk.front, others=[desk.billing], store=store) as other:
        assert (await other.say("hello", turn_id="later")).spoken == "Billing."


async def test_a_cancelled_tool_hands_nothing_over() -> None:
    started = asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if transcript(messages)[-1][1] == "invoice":
            yield {0: DeltaToolCall("slow", "{}", tool_call_id=f"call-{len(messages)}")}
        else:
            yield "Front."

    front = Agent(FunctionModel(stream_function=model), deps_type=Turn)

    @front.tool
    async def slow(ctx: RunContext[Turn]) -> str:
        ctx.deps.hand_to("billing")
        started.set()
        await asyncio.sleep(60)
        return "never"

    async with open_call(VoiceAgent("front", front, filler=False), others=[Desk().billing]) as call:
        turn = asyncio.create_task(call.say("invoice"))
        await started.wait()
        call.app.turns.running[call.conversation_id].stop(Status.INTERRUPTED)
        await turn
        assert (await call.say("hello")).spoken == "Front."
        assert [record.handed_to for record in await call.records()] == ["", ""]


async def test_code_hands_over_and_loops_are_bounded() -> None:
    def agent(name: str, other: str) -> VoiceAgent[Any, Any]:
        voice = VoiceAgent(name)

        @voice.on_message
        async def pass_on(turn: Turn) -> str:
            turn.hand_to(other, now=True)
            return f"{name}. "

        return voice

    async with open_call(agent("ping", "pong"), others=[agent("pong", "ping")]) as call:
        assert (await call.say("hi")).spoken == "ping. pong. ping. pong. "
        (record,) = await call.records()
    assert len(record.stages) == MOST_HANDOVERS
    assert any("too often" in note for note in record.notes)


@pytest.mark.parametrize(
    ("how", "heard"),
    [({"now": True}, "Billing!"), ({"say": "I'll get billing."}, "I'll get billing."), ({}, "Front!")],
    ids=["now", "say", "later"],
)
async def test_an_agent_that_hands_the_call_over_at_its_start_does_not_greet(how: dict[str, Any], heard: str) -> None:
    front, billing = VoiceAgent("front", greeting="Front!"), VoiceAgent("billing", greeting="Billing!")

    @front.on_session_start
    async def route(turn: Turn) -> None:
        turn.hand_to("billing", **how)

    async with open_call(front, others=[billing]) as call:
        assert (await call.greet()).spoken == heard


async def test_tasks_and_summaries_belong_to_the_agent_that_enqueued_them() -> None:
    done: list[str] = []

    async def sum_up(before: Summary | None, transcript: str) -> str:
        done.append("summary of front")
        return "They like bread."

    front, billing = VoiceAgent("front", Agent(), summary=sum_up), VoiceAgent("billing", Agent())

    @front.task
    async def mail(to: str) -> None:
        done.append(f"mail to {to}")

    @billing.task
    async def charge() -> None:
        done.append("charge")

    @front.on_message
    async def pass_on(turn: Turn) -> str:
        turn.background(mail, to="ann")
        turn.hand_to("billing", now=True)
        return "Front. "

    @billing.on_message
    async def hand_back(turn: Turn) -> str:
        turn.background(charge)
        turn.hand_to("front")
        return "Billing. " * 50

    async with open_call(front, others=[billing], settings={"history_tokens": 1000}) as call:
        store = call.app.store
        for _ in range(10):
            assert (await call.say("invoice")).error is None
        while any(job.name == "task" and job.error is None for job in await store.pending_jobs()):
            await asyncio.sleep(0.001)
        assert [job.error for job in await store.pending_jobs() if job.name == "task"] == []
        assert summary_in((await store.conversation(call.conversation_id)).state) is not None
    assert (done.count("mail to ann"), done.count("charge")) == (10, 10)
    assert "summary of front" in done


@pytest.mark.parametrize("hands_back", [False, True])
async def test_a_confirmed_tool_that_hands_over_runs_once(hands_back: bool) -> None:
    ran: list[str] = []
    front: Agent[Turn, str] = Agent(deps_type=Turn)
    billing: Agent[Turn, str] = Agent(scripted(*([Call("back")] if hands_back else []), "Billing."), deps_type=Turn)

    @front.tool
    async def transfer(ctx: RunContext[Turn]) -> str:
        ran.append(ctx.deps.agent)
        ctx.deps.hand_to("billing", now=True)
        return "transferred"

    @billing.tool
    async def back(ctx: RunContext[Turn]) -> str:
        ctx.deps.hand_to("front", now=True)
        return "handed back"

    desk = VoiceAgent("front", front, confirm={"transfer": "Shall I?"}, filler=False)
    other = VoiceAgent("billing", billing, filler=False)
    async with open_call(desk, model=scripted(Call("transfer"), "Front."), others=[other]) as call:
        assert (await call.say("please")).spoken == "Shall I?"
        assert (await call.say("yes")).spoken == ("Front." if hands_back else "Billing.")
        record = (await call.records())[-1]
    assert ran == ["front"]
    assert record.error is None
    assert record.notes == [], "no note says that it did not run"


@pytest.mark.parametrize("how", [{"now": True}, {"say": "I'll get billing. "}, {}], ids=["now", "say", "later"])
async def test_a_hand_over_drops_a_call_whose_question_was_not_heard(how: dict[str, Any]) -> None:
    ran: list[str] = []

    async def order(ctx: RunContext[Turn]) -> str:
        """Order something."""
        ran.append(ctx.deps.agent)
        return "ordered"

    front, billing = Agent(deps_type=Turn, tools=[order]), Agent(scripted("A copy?", "Fine."), deps_type=Turn)

    @front.tool
    async def to_billing(ctx: RunContext[Turn]) -> str:
        """Hand the caller to billing."""
        ctx.deps.hand_to("billing", **how)
        return "handed over"

    billing.tool(order)
    desk, other = (
        VoiceAgent(name, agent, confirm={"order": "Shall I place the order?"}, filler=False)
        for name, agent in (("front", front), ("billing", billing))
    )
    async with open_call(desk, model=scripted(Call("order"), Call("to_billing"), "Goodbye."), others=[other]) as call:
        call.interrupt(after=2, playing=True)
        await call.say("I might want a cake")
        handed = await call.say("No, I have a question about an invoice")
        assert "Shall I place the order?" not in handed.spoken
        if "now" not in how:
            await call.say("hello")
        assert (await call.say("yes")).spoken == "Fine."
        record = (await call.records())[1]
    assert (ran, record.pending) == ([], None)
    assert [note for note in record.notes if "order was not run" in note]


@pytest.mark.parametrize("now", [True, False])
async def test_a_guard_that_objects_takes_a_hand_over_back(now: bool) -> None:
    desk = Desk(now=now, say="")

    async def guard(turn: Turn) -> str | None:
        if turn.text != "invoice":
            return None
        while not any(call.status == "done" for call in turn.record.tools):
            await asyncio.sleep(0.001)
        return "I cannot do that."

    front = VoiceAgent("front", desk.front.agent, state=Seat, filler=False, guard=guard)
    async with open_call(front, others=[desk.billing]) as call:
        assert (await call.say("invoice")).spoken.endswith("I cannot do that.")
        assert (await call.say("hello")).spoken == "Front."
        records = await call.records()
    assert [(record.agent, record.handed_to) for record in records] == [("front", "")] * 2
    assert "billing" not in [who for who, _, _ in desk.seen]


async def test_data_from_the_page_goes_to_the_agent_that_answers() -> None:
    desk = Desk()

    @desk.billing.on_data
    async def receive(turn: Turn[Account], data: Any) -> Any:
        return {"agent": turn.agent, "total": turn.state.total}

    async with open_call(desk.front, others=[desk.billing]) as call:
        await call.say("invoice")
        assert await call.send_data({"x": 1}) == {"agent": "billing", "total": "unpaid"}


async def test_a_call_that_was_handed_to_an_agent_that_is_gone_is_answered() -> None:
    desk, store = Desk(), MemoryStore()
    async with open_call(desk.front, others=[desk.billing], store=store) as call:
        await call.say("invoice")
    async with open_call(desk.front, store=store) as call:
        assert (await call.say("hello", turn_id="later")).spoken == "Front."


class Refusing(BaseModel):
    """A state model that rejects all values while `refuses` is true."""

    refuses: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def refuse(cls, values: Any) -> Any:
        if cls.refuses:
            raise ValueError("refused")
        return values


@pytest.mark.parametrize("now", [False, True])
async def test_a_call_is_handed_back_by_an_agent_that_cannot_be_prepared(
    now: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(now=now)
    billing = VoiceAgent("billing", Agent(scripted()), state=Refusing, filler=False)
    monkeypatch.setattr(Refusing, "refuses", True)
    async with open_call(desk.front, others=[billing]) as call:
        said = ["invoice"] if now else ["invoice", "hello"]
        failed = [await call.say(text) for text in said][-1]
        assert "Sorry, " in failed.spoken
        assert (await call.say("hello")).spoken == "Front."
        assert (await call.say("hello")).spoken == "Front."
        records = await call.records()
    assert [record.error for record in records] == [None] * (len(said) - 1) + ["StateError", None, None]
    assert [(record.agent, record.handed_to) for record in records if record.error] == [("billing", "front")]


@pytest.mark.parametrize("now", [False, True])
async def test_in_a_fork_a_hand_over_is_recorded_and_nothing_else(now: bool) -> None:
    desk = Desk(now=now)
    async with open_call(desk.front, others=[desk.billing]) as call:
        await call.say("hello")
        await call.say("invoice")
        records = await call.records()
    first = records[0]
    forked = await Sandbox.before(records, first)
    again = await forked.answer(AgentRunner(desk.front), forked.event("invoice"))
    assert (again.spoken_text, again.handed_to, again.error) == ("I'll get billing. ", "billing", None)


async def test_an_unknown_agent_is_named_with_the_nearest() -> None:
    lost = VoiceAgent("lost")

    @lost.on_message
    async def wrong(turn: Turn) -> str:
        turn.hand_to("biling")
        return "never"

    async with open_call(lost, others=[Desk().billing]) as call:
        turn = await call.say("hi")
    assert (
        "hand_to('biling'): the server has no such agent. Did you mean 'billing'? Known names: billing, lost."
        in str(turn.error)
    )


async def test_the_reports_tell_the_agents_apart(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    async with open_call(desk.front, others=[desk.billing]) as call:
        for said in ("invoice", "hello", "pay"):
            await call.say(said)
        print_conversation(await call.records(), as_json=False)
        report = await make_report(call.app.store)
    out = capsys.readouterr().out
    assert "the call was handed to billing" in out
    assert "billing:  Billing." in out
    assert {name: tally.turns for name, tally in report.groups.items()} == {"front": 1, "billing": 2}
