"""Each stage of an agent has its own tools and instructions. The journal stores the current stage of the call."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, RetryPromptPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Call, DeveloperError, Stage, Turn, VoiceAgent
from layercode_app.agent.faults import fault_of_agent
from layercode_app.cli.sessions.view import print_conversation
from layercode_app.conversation.flow import MOST_MOVES
from layercode_app.journal.record import Kind, TurnRecord
from layercode_app.journal.record import Stage as RecordedStage
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.reports.waterfall import waterfall_of
from layercode_app.testing import open_call, scripted

from ..conversation.world import transcript

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    items: int = 0
    paid: bool = False


async def add_item(ctx: RunContext[Turn[Order]]) -> str:
    """Add an item."""
    ctx.deps.state.items += 1
    return "added"


async def pay(ctx: RunContext[Turn[Order]]) -> str:
    """Take the payment."""
    ctx.deps.state.paid = True
    return "paid"


def next_after_payment(turn: Turn[Order]) -> str | None:
    return "goodbye" if turn.state.paid else None


STAGES = (
    Stage("order", "Take the order.", [add_item], then="payment"),
    Stage("payment", lambda turn: f"{turn.state.items} items to pay.", [pay], then=next_after_payment),
    Stage("goodbye", "Say goodbye."),
)


class Till:
    """An agent with stages, whose model calls the tool that the caller names."""

    def __init__(self, stages: Sequence[Stage] = STAGES, **options: Any) -> None:
        self.offered: list[list[str]] = []
        self.told: list[str] = []
        agent = Agent(FunctionModel(stream_function=self._model), deps_type=Turn[Order], instructions="Be short.")

        @agent.tool_plain
        async def hours() -> str:
            """Tell the opening hours."""
            return "nine to five"

        self.voice = VoiceAgent("till", agent, state=Order, stages=stages, filler=False, **options)

    async def _model(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.offered.append([tool.name for tool in info.function_tools])
        self.told.append(info.instructions or "")
        last, said = messages[-1].parts[-1], transcript(messages)[-1][1]
        name, _, args = said.partition(" ")
        if isinstance(last, ToolReturnPart | RetryPromptPart) or name not in self.offered[-1]:
            yield f"Now {getattr(last, 'content', '')}."
        else:
            yield {0: DeltaToolCall(name, args or "{}", tool_call_id=f"call-{len(messages)}")}


async def test_each_stage_has_its_own_tools_and_instructions() -> None:
    till = Till()
    async with open_call(till.voice) as call:
        await call.say("add_item")
        await call.say("next_stage")
        await call.say("pay")
        await call.say("hello")
        records = await call.records()
        assert await call.state() == {"items": 1, "paid": True}
    order, payment, end = ["hours", "add_item", "next_stage"], ["hours", "pay"], ["hours"]
    assert till.offered == [order, order, order, payment, payment, end, end]
    assert [record.at_stage for record in records] == ["order", "payment", "goodbye", "goodbye"]
    assert "Take the order." in till.told[0]
    assert "1 items to pay." in till.told[3]
    assert till.told[3].startswith("Be short.")
    assert [part.name for part in records[1].stages] == ["stage order", "stage payment"]
    assert all(part.ended_ms is not None for record in records for part in record.stages)


async def test_a_stage_may_lead_to_several_and_name_tools_of_the_agent() -> None:
    stages = [
        Stage("first", tools=["hours"], then=["left", "right"]),
        Stage("left", tools=[add_item]),
        Stage("right"),
    ]
    till = Till(stages)
    async with open_call(till.voice) as call:
        await call.say('next_stage {"stage": "right"}')
        (record,) = await call.records()
    assert record.at_stage == "right"
    assert till.offered == [["hours", "next_stage"], []]


@pytest.mark.parametrize("then", ["verify", ["verify", "order"]])
@pytest.mark.parametrize("asked", ["pay", "Verify"])
async def test_the_model_goes_on_to_no_other_stage_than_those_that_follow(then: str | list[str], asked: str) -> None:
    till = Till([Stage("order", then=then), Stage("verify", then="pay"), Stage("pay", tools=[pay])])
    async with open_call(till.voice) as call:
        turn = await call.say(f'next_stage {{"stage": "{asked}"}}')
        (record,) = await call.records()
    assert turn.error is None
    assert record.at_stage == "order"
    assert f"The stage {asked!r} does not follow this one. Expected one of: verify" in turn.spoken


async def test_the_stage_survives_an_interruption_a_duplicate_and_another_worker() -> None:
    till, store = Till(), MemoryStore()
    async with open_call(till.voice, store=store) as call:
        call.interrupt(after=1, playing=True)
        await call.say("next_stage")
        await call.resend()
    async with open_call(till.voice, store=store) as other:
        await other.say("hello", turn_id="later")
    assert till.offered[-1] == ["hours", "pay"]
    assert len(till.offered) == 3, "the duplicate ran nothing"


async def test_code_moves_between_stages_and_loops_are_bounded() -> None:
    stages = [Stage("ping", then=lambda turn: "pong"), Stage("pong", then=lambda turn: "ping")]
    voice = VoiceAgent("loop", stages=stages)

    @voice.on_message
    async def tell(turn: Turn) -> str:
        return turn.stage

    async with open_call(voice) as call:
        assert (await call.say("hi")).spoken == "ping"
        (record,) = await call.records()
        assert len(record.stages) == MOST_MOVES + 1
        assert (await call.say("hi")).spoken == "ping"


@pytest.mark.slow
async def test_a_stage_that_was_removed_begins_with_the_first() -> None:
    store = MemoryStore()
    async with open_call(Till().voice, store=store) as call:
        await call.say("next_stage")
    till = Till([Stage("other", "Another one.")])
    async with open_call(till.voice, store=store) as call:
        await call.say("hello", turn_id="later")
    assert "Another one." in till.told[-1]


async def test_a_tool_of_a_stage_can_be_confirmed() -> None:
    till = Till([Stage("payment", tools=[pay])], confirm={"pay": "Shall I charge you?"})
    async with open_call(till.voice) as call:
        assert (await call.say("pay")).spoken == "Shall I charge you?"
        await call.say("yes")
        assert (await call.state())["paid"]


def moves_together() -> list[Stage]:
    return [Stage("payment", tools=[pay], then="goodbye"), Stage("goodbye")]


def moves_by_code() -> list[Stage]:
    return [Stage("payment", tools=[pay], then=lambda turn: "goodbye"), Stage("goodbye")]


@pytest.mark.parametrize("stages", [moves_together(), moves_by_code()], ids=["model", "code"])
@pytest.mark.parametrize(("answer", "paid"), [("yes", True), ("no", False), ("pay", True)])
async def test_the_answer_counts_when_the_stage_has_moved(stages: list[Stage], answer: str, paid: bool) -> None:
    calls = [Call("pay"), Call("next_stage")] if stages[0].following else [Call("pay")]
    again = [] if answer in ("yes", "no") else [Call("pay")]
    voice = VoiceAgent("till", Agent(deps_type=Turn[Order]), state=Order, stages=stages, filler=False,
                       confirm={"pay": "Shall I charge you?"})  # fmt: skip
    async with open_call(voice, model=scripted(calls, *again, "Done.")) as call:
        assert (await call.say("pay")).spoken == "Shall I charge you?"
        turn = await call.say(answer)
        assert (turn.error, turn.spoken) == (None, "Done.")
        assert (await call.state())["paid"] is paid
        record = (await call.records())[-1]
    assert record.at_stage == ("payment" if stages[0].following else "goodbye")


async def test_stages_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with open_call(Till().voice) as call:
        await call.say("next_stage")
        (record,) = await call.records()
        print_conversation([record], as_json=False)
    out = capsys.readouterr().out
    assert re.search(r"^  Stage:  order done, [\d,]+ ms\n  Stage:  payment done, [\d,]+ ms$", out, re.MULTILINE)
    assert "stage order" in [step.name for step in waterfall_of(record).steps]


def test_an_agent_that_handed_the_call_over_is_shown_as_such_and_a_span_as_a_stage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "billing", handed_by=["front"])
    record.stages = [RecordedStage("agent front", 100.0, 400.0, "done"), RecordedStage("agent run", 1.0, 2.0, "failed")]
    print_conversation([record], as_json=False)
    out = capsys.readouterr().out
    assert "  Handed: front handed the call over after 300 ms\n  Stage:  agent run failed, 1 ms\n" in out


ONE: Any = Stage("a")
FIVE: Any = 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stage("", "x"), "Stage name='': expected a text"),
        (lambda: Stage("a", 5), "Stage instructions=5: expected a text, or a function of the turn."),  # type: ignore[arg-type]
        (
            lambda: VoiceAgent("a", stages=[Stage("a", then="bee"), Stage("bees")]),
            "Did you mean 'bees'? Known names: a, bees.",
        ),
        (lambda: VoiceAgent("a", stages=[Stage("a"), Stage("a")]), "two stages have the same name, 'a'. Give each"),
        (
            lambda: VoiceAgent("a", stages=ONE),
            "expected a list of Stage(name, instructions, tools), got Stage(name='a'",
        ),
        (lambda: VoiceAgent("a", stages=FIVE), "expected a list of Stage(name, instructions, tools), got 5."),
        (lambda: Stage("a", "x", add_item), "tools=<function add_item"),  # type: ignore[arg-type]
        (lambda: Stage("a", "x", add_item), "expected a list, such as [add_item]."),  # type: ignore[arg-type]
        (lambda: Stage("a", "x", {"hours": add_item}), "expected a list, such as ["),  # type: ignore[arg-type]
        (lambda: Stage("a", "x", "hours"), "Stage('a') tools='hours': expected a list, such as ['hours']."),
        (
            lambda: Stage("a", "x", [3]),
            "Stage('a') tools has 3: expected a function, a PydanticAI tool or toolset, or the name",
        ),
        (lambda: Stage("a", then=5), "Stage('a') then=5: expected the name of a stage, a list of names, or a function"),  # type: ignore[arg-type]
        (lambda: Stage("a", then=["b", 5]), "Stage('a') then=['b', 5]: expected the name of a stage"),  # type: ignore[list-item]
        (lambda: VoiceAgent("a", stages=["a"]), "expected a list of Stage(name, instructions, tools), got 'a'"),  # type: ignore[list-item]
    ],
)
def test_wrong_stages_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DeveloperError) as raised:
        make()
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "kind", [set, iter, lambda tools: dict(enumerate(tools)).values()], ids=["set", "iter", "values"]
)
def test_the_tools_of_a_stage_can_be_any_iterable(kind: Callable[[list[Any]], Any]) -> None:
    stage = Stage("order", "Take the order.", kind([add_item]))
    for _ in range(2):
        assert list(stage.tools) == [add_item]


def test_a_stage_that_names_an_unknown_tool_is_a_fault() -> None:
    fault = fault_of_agent(Till([Stage("a", tools=["hour"])]).voice)
    assert "stages={'hour': …}: the agent has no such tool. Did you mean 'hours'?" in fault


async def test_an_unknown_stage_is_named() -> None:
    voice = VoiceAgent("a", stages=[Stage("order"), Stage("payment")])

    @voice.on_message
    async def go(turn: Turn) -> str:
        turn.go_to("paymnt")
        return "never"

    async with open_call(voice) as call:
        turn = await call.say("hi")
    assert "go_to('paymnt'): agent 'a' has no such stage. Did you mean 'payment'?" in str(turn.error)


def test_stages_change_the_version_of_an_agent() -> None:
    assert len({Till(stages).voice.fingerprint for stages in (STAGES, [Stage("order")], ())}) == 3
