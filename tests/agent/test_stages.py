"""`turn.span` records the time of a part of a turn, and the tokens and the cost of the model requests in it.

In the turn's totals, these tokens and this cost are counted only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.journal.cost import cost_of
from layercode_app.journal.record import Stage, TurnRecord

from ..calling import calling, settings
from ..priced import MODEL, records

pytestmark = pytest.mark.anyio


def model(tokens: int, name: str = MODEL) -> FunctionModel:
    """Return a model. Each of its answers uses this number of input tokens, and one output token."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(0)
        return ModelResponse([TextPart("done")], usage=RequestUsage(input_tokens=tokens, output_tokens=1))

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "done"
        if "hang" in str(messages[-1].parts[-1]):
            await asyncio.Event().wait()

    return FunctionModel(answer, stream_function=stream, model_name=name)


def asking(tool: str) -> tuple[VoiceAgent[Any, Any], Agent[Turn, str]]:
    """Return a voice agent that calls the tool and then says "Done.", and the PydanticAI agent in it."""

    async def play(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if messages[-1].parts[-1].part_kind == "tool-return":
            yield "Done."
        else:
            yield {1: DeltaToolCall(name=tool, json_args="{}", tool_call_id="c1")}

    main = Agent(FunctionModel(stream_function=play, model_name=MODEL), deps_type=Turn)
    return VoiceAgent("staged", main), main


async def turn_of(voice: VoiceAgent[Any, Any], folder: Path, text: str = "go") -> TurnRecord:
    app = LayerCode(voice, settings=settings(folder))
    async with calling(app) as caller:
        await caller.say(text)
        (record,) = await records(app)
    assert record.error is None
    assert isinstance(record, TurnRecord)
    return record


def figures(stage: Stage) -> tuple[str, str, int, int, bool]:
    known = cost_of(stage)
    return (
        stage.name,
        stage.status,
        stage.usage.get("requests", 0),
        stage.usage.get("input_tokens", 0),
        known.amount > 0,
    )


@pytest.mark.parametrize("shared", [True, False], ids=["usage=ctx.usage", "usage of its own"])
async def test_nested_and_parallel_stages_count_their_own_requests(shared: bool, tmp_path: Path) -> None:
    voice, main = asking("work")
    helper: Agent[None, str] = Agent()

    @main.tool
    async def work(ctx: RunContext[Turn]) -> str:
        turn = ctx.deps

        async def ask(name: str, tokens: int) -> None:
            with turn.span(name, size=tokens):
                usage = ctx.usage if shared else None
                await helper.run("?", model=turn.helper_model(model(tokens)), usage=usage)

        with turn.span("outer"):
            await asyncio.gather(ask("left", 100), ask("right", 1000))
        with turn.span("no model"):
            pass
        return "worked"

    record = await turn_of(voice, tmp_path)
    assert [figures(stage) for stage in record.stages] == [
        ("outer", "done", 2, 1100, True),
        ("left", "done", 1, 100, True),
        ("right", "done", 1, 1000, True),
        ("no model", "done", 0, 0, False),
    ]
    outer, left, right, none = record.stages
    assert outer.cost == pytest.approx((left.cost or 0) + (right.cost or 0))
    assert none.cost is None
    assert all(stage.ended_ms is not None and stage.ended_ms >= stage.started_ms for stage in record.stages)
    # The agent made two requests, and each helper one. The turn counts the helpers' requests only once.
    assert record.usage["requests"] == 4
    assert record.usage["unpriced_requests"] == 0
    own = record.usage["input_tokens"] - 1100
    assert 0 < own < 300, "its own prompts are a few words"
    assert record.cost is not None
    assert outer.cost is not None
    assert 0 < record.cost - outer.cost < outer.cost


async def test_a_helper_without_a_price_makes_the_costs_unknown(tmp_path: Path) -> None:
    voice, main = asking("work")

    @main.tool
    async def work(ctx: RunContext[Turn]) -> str:
        with ctx.deps.span("odd"):
            await Agent().run("?", model=ctx.deps.helper_model(model(100, "made-up")))
        return "worked"

    record = await turn_of(voice, tmp_path)
    assert str(cost_of(record.stages[0])) == "unknown"
    assert cost_of(record).unknown == 1
    assert str(cost_of(record)).startswith("at least $")


async def test_a_stage_that_fails_and_one_that_is_cut_say_so(tmp_path: Path) -> None:
    voice, main = asking("work")

    @main.tool
    async def work(ctx: RunContext[Turn]) -> str:
        turn = ctx.deps
        with pytest.raises(ValueError, match="no"), turn.span("failing"):
            raise ValueError("no")

        async def hang() -> None:
            with turn.span("hanging"):
                async with Agent().run_stream("hang", model=turn.helper_model(model(5))) as reply:
                    async for _ in reply.stream_text(delta=True, debounce_by=None):
                        heard.set()

        heard = asyncio.Event()
        task = asyncio.create_task(hang())
        await heard.wait()
        task.cancel()
        await asyncio.wait({task})
        return "worked"

    record = await turn_of(voice, tmp_path)
    assert [(stage.name, stage.status) for stage in record.stages] == [("failing", "failed"), ("hanging", "cancelled")]
    assert record.stages[1].usage["unknown_requests"] == 1
    assert cost_of(record).unknown == 1


async def test_a_turn_that_a_hook_answers_counts_its_helpers(tmp_path: Path) -> None:
    voice = VoiceAgent("hooked")

    @voice.on_message
    async def answer(turn: Turn) -> str:
        with turn.span("think"):
            result = await Agent().run(turn.text, model=turn.helper_model(model(70)))
        return result.output

    record = await turn_of(voice, tmp_path)
    assert record.spoken_text == "done"
    assert (record.model, record.usage["requests"], record.usage["input_tokens"]) == (MODEL, 1, 70)
    assert record.cost == record.stages[0].cost
    assert record.cost


async def test_an_offline_turn_costs_nothing_which_is_known(tmp_path: Path) -> None:
    from layercode_app.agent.discovery import discover
    from layercode_app.emulator.playground.figures import summary, totals
    from layercode_app.replay.compare import side
    from layercode_app.reports.conversations import turn_json

    record = await turn_of(discover().get("starter"), tmp_path)
    assert record.model == "offline"
    assert (record.cost, record.usage["unpriced_requests"]) == (0.0, 0)
    shown: list[Any] = [turn_json(record), side(record), summary(record), totals([record])]
    assert [(one["cost"], one["cost_is_partial"]) for one in shown] == [(0.0, False)] * 4


async def test_a_guard_is_a_stage_with_its_time_its_models_and_its_end(tmp_path: Path) -> None:
    helper: Agent[None, str] = Agent()
    spoken = asyncio.Event()

    async def guard(turn: Turn) -> str | None:
        await helper.run("?", model=turn.helper_model(model(100)))
        await spoken.wait()
        if "ill" in turn.text:
            raise RuntimeError("the guard is ill")
        return None

    async def play(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "Done."
        spoken.set()

    app = LayerCode(
        VoiceAgent("guarded", Agent(FunctionModel(stream_function=play, model_name=MODEL)), guard=guard),
        settings=settings(tmp_path),
    )
    async with calling(app) as caller:
        await caller.say("hello")
        await caller.say("ill")
        fine, ill = await records(app)
    assert [figures(stage) for stage in fine.stages] == [("guard", "done", 1, 100, True)]
    (kept,) = fine.stages
    assert kept.ended_ms is not None
    assert kept.ended_ms > kept.started_ms
    assert [(stage.name, stage.status) for stage in ill.stages] == [("guard", "failed")]


async def test_stages_in_a_loop_do_not_fill_the_journal(tmp_path: Path) -> None:
    voice = VoiceAgent("looping")

    @voice.on_message
    async def answer(turn: Turn) -> str:
        for number in range(300):
            with turn.span(f"step {number}"):
                pass
        return "done"

    assert len((await turn_of(voice, tmp_path)).stages) == 100
