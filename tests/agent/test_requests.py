"""A turn's record has one row for each model request. Records, reports and metrics count each model separately."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import Turn, VoiceAgent
from layercode_app.cli.sessions.view import print_conversation
from layercode_app.conversation.model_requests import MAX_REQUESTS
from layercode_app.emulator.playground.figures import summary
from layercode_app.journal.cost import cost_of
from layercode_app.journal.model_usage import UNMETERED
from layercode_app.journal.record import HELPER, ModelCall, TurnRecord
from layercode_app.observability import metrics
from layercode_app.replay.compare import side
from layercode_app.reports.conversations import turn_json
from layercode_app.reports.report import make_report
from layercode_app.reports.text import as_text
from layercode_app.reports.tool_tally import INSIDE, requests
from layercode_app.reports.usage_totals import totals_of
from layercode_app.testing import events
from layercode_app.testing.call import AgentCall, open_call

pytestmark = pytest.mark.anyio

MAIN, SMALL, GUARD = "gpt-5-mini", "gpt-5-nano", "gpt-4o-mini"


def model(name: str, tokens: int) -> FunctionModel:
    """A helper's model: every answer uses this number of input tokens, and 7 output tokens."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart("planned")], usage=RequestUsage(input_tokens=tokens, output_tokens=7))

    return FunctionModel(answer, model_name=name)


async def play(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    """Call the tool, and then answer. If the caller said "hang", hang before the first token of the answer."""
    if messages[-1].parts[-1].part_kind != "tool-return":
        yield "Let me see. "
        yield {1: DeltaToolCall(name="work", json_args="{}", tool_call_id="c1")}
        return
    if "hang" in str(messages[0]):
        async for word in hang(messages, info):
            yield word
    yield "Done."


_hanging: asyncio.Event


@pytest.fixture
async def hanging() -> asyncio.Event:
    """An event that is set as soon as a model hangs."""
    global _hanging
    _hanging = asyncio.Event()
    return _hanging


async def hang(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    _hanging.set()
    await asyncio.Event().wait()
    yield "never"


def helped(*, metered: bool = True) -> VoiceAgent[Any, Any]:
    """Return an agent that has a guard, and a tool that calls a helper agent. Guard and helper have their own models.

    If `metered` is false, the agent has no guard, and the helper gets a model that is not metered.
    """
    main = Agent(FunctionModel(stream_function=play, model_name=MAIN), deps_type=Turn)

    @main.tool
    async def work(ctx: RunContext[Turn]) -> str:
        small = model(SMALL, 4000)
        if not metered:
            return (await Agent().run("?", model=small, usage=ctx.usage)).output
        with ctx.deps.span("plan"):
            await Agent().run("?", model=ctx.deps.helper_model(small))
        return (await Agent().run("?", model=ctx.deps.helper_model(small))).output

    async def guard(turn: Turn) -> None:
        await Agent().run("?", model=turn.helper_model(model(GUARD, 100)))

    return VoiceAgent("helped", main, guard=guard if metered else None)


async def said(call: AgentCall, text: str = "go") -> TurnRecord:
    record = (await call.say(text)).record
    assert record is not None
    return record


def shown(record: TurnRecord) -> dict[str, int]:
    return {share.model: share.usage.get("input_tokens", 0) for share in record.shares}


async def test_every_request_is_a_row_with_its_times_model_and_cost() -> None:
    async with open_call(helped()) as call:
        record = await said(call)
    rows = sorted(record.requests, key=lambda row: (row.stage, row.started_ms))
    assert [(row.stage, row.model, row.status) for row in rows] == [
        ("", MAIN, "done"),
        ("", MAIN, "done"),
        ("guard", GUARD, "done"),
        (HELPER, SMALL, "done"),
        ("plan", SMALL, "done"),
    ]
    first, second, guard, *_ = rows
    assert first.first_ms is not None
    assert second.first_ms is not None
    assert 0 < first.started_ms <= first.first_ms <= (first.ended_ms or 0) <= second.started_ms <= second.first_ms
    assert record.timings["ttft"] == first.first_ms
    assert guard.first_ms is None
    assert all(row.cost for row in rows)
    assert sum(row.cost or 0.0 for row in rows) == pytest.approx(record.cost)


async def test_each_model_has_its_own_tokens_and_cost_wherever_they_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with open_call(helped()) as call:
        record = await said(call)
        report = await make_report(call.app.store, by="model")
    assert record.model == MAIN
    tokens = shown(record)
    assert tokens == {MAIN: record.usage["input_tokens"] - 8100, GUARD: 100, SMALL: 8000}
    dollars = {share.model: cost_of(share).amount for share in record.shares}
    assert sum(dollars.values()) == pytest.approx(cost_of(record).amount)

    for rows in (turn_json(record)["models"], summary(record)["models"]):
        assert {row["model"]: row["usage"]["input_tokens"] for row in rows} == tokens
        assert {row["model"]: row["cost"] for row in rows} == pytest.approx(dollars)
    assert {row["model"]: row["input_tokens"] for row in side(record)["models"]} == tokens
    assert len(json.loads(json.dumps(turn_json(record)["requests"]))) == 5

    kept = totals_of(record)
    assert {key.rsplit("/", 1)[1]: amounts["input_tokens"] for key, amounts in kept.items()} == tokens
    assert sum(amounts.get("turns", 0) for amounts in kept.values()) == 1

    assert {key: tally.tokens["input_tokens"] for key, tally in report.groups.items()} == tokens
    assert {key: (tally.turns, tally.helped) for key, tally in report.groups.items()} == {
        MAIN: (1, 0),
        GUARD: (0, 1),
        SMALL: (0, 1),
    }
    assert {key: tally.cost.amount for key, tally in report.models.items()} == pytest.approx(dollars)
    assert "1 as helper" in as_text(report)

    print_conversation([record], as_json=False)
    out = capsys.readouterr().out
    assert f"Model:  {SMALL} · 8,000+14 tokens" in out
    assert f"Model:  {GUARD} · 100+7 tokens" in out


async def test_metrics_have_each_models_own_tokens_and_dollars() -> None:
    kept: list[metrics.Row] = []

    class Sink:
        def add(self, rows: Any) -> None:
            kept.extend(rows)

    metrics.use([Sink()])
    try:
        async with open_call(helped()) as call:
            record = await said(call)
    finally:
        metrics.use([])
    tokens = {labels[1]: amount for metric, amount, labels in kept if metric is metrics.TOKENS and labels[2] == "input"}
    assert tokens == shown(record)
    dollars = {labels[1]: amount for metric, amount, labels in kept if metric is metrics.COST}
    assert dollars == pytest.approx({share.model: share.cost for share in record.shares})


async def test_what_a_guard_costs_is_no_tools_cost() -> None:
    async with open_call(helped()) as call:
        record = await said(call)
    (inside,) = [tokens for led_by, tokens, _ in requests(record) if led_by == INSIDE]
    assert inside == 2 * (4000 + 7)


async def test_an_unmetered_helper_is_not_counted_for_the_main_model() -> None:
    async with open_call(helped(metered=False)) as call:
        record = await said(call)
    assert shown(record)[UNMETERED] == 4000
    assert sum(shown(record).values()) == record.usage["input_tokens"]
    assert sum(share.cost or 0.0 for share in record.shares) == pytest.approx(record.cost)


async def left(voice: VoiceAgent[Any, Any], text: str, hanging: asyncio.Event) -> TurnRecord:
    """Return the record of a turn that the caller leaves as soon as the model hangs."""
    async with open_call(voice) as call:
        delivery = asyncio.create_task(call.send(events.message(text)))
        await hanging.wait()
        delivery.cancel()
        await asyncio.wait({delivery})
        while call.app.turns.running.get(call.conversation_id) is not None:
            await asyncio.sleep(0.001)
        (record,) = await call.records()
    return record


async def test_a_turn_that_is_cut_after_a_tool_names_its_model(hanging: asyncio.Event) -> None:
    record = await left(helped(), "hang", hanging)
    assert record.model == MAIN
    own = [row for row in record.requests if not row.stage]
    assert [(row.model, row.status, row.usage.get("unknown_requests", 0)) for row in own] == [
        (MAIN, "done", 0),
        (MAIN, "cancelled", 1),
    ]
    assert shown(record).keys() == {MAIN, SMALL, GUARD}
    assert cost_of(record).unknown == 1
    assert own[1].first_ms is None


async def test_a_turn_that_is_cut_before_the_first_token_names_the_model_it_waited_for(hanging: asyncio.Event) -> None:
    agent = Agent(FunctionModel(stream_function=hang, model_name=MAIN), deps_type=Turn)
    record = await left(VoiceAgent("hanging", agent), "hello", hanging)
    (row,) = record.requests
    assert (record.model, row.model, row.status, row.first_ms) == (MAIN, MAIN, "cancelled", None)
    assert cost_of(record).unknown == 1


async def test_each_model_of_a_fallback_chain_has_its_row() -> None:
    async def fail(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        raise ModelAPIError(SMALL, "not reachable")
        yield ""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "Hello."

    chain = FallbackModel(
        FunctionModel(stream_function=fail, model_name=SMALL), FunctionModel(stream_function=answer, model_name=MAIN)
    )
    async with open_call(VoiceAgent("chained", Agent(chain, deps_type=Turn))) as call:
        record = await said(call)
    assert [(row.model, row.status) for row in record.requests] == [(SMALL, "failed"), (MAIN, "done")]
    assert record.requests[0].ended_ms == record.requests[1].started_ms
    assert (record.model, record.retries) == (MAIN, 1)


async def test_a_failed_chain_names_the_models_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", ())

    def failing(name: str) -> FunctionModel:
        async def fail(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
            raise ModelAPIError(name, "not reachable")
            yield ""

        return FunctionModel(stream_function=fail, model_name=name)

    chain = FallbackModel(failing(SMALL), failing(MAIN))
    async with open_call(VoiceAgent("chained", Agent(chain, deps_type=Turn))) as call:
        record = await said(call)
    assert [(row.model, row.status) for row in record.requests] == [(SMALL, "failed"), (MAIN, "failed")]
    assert record.model == MAIN


async def test_requests_in_a_loop_do_not_fill_the_journal_and_lose_no_tokens() -> None:
    voice = VoiceAgent("looping")

    @voice.on_message
    async def answer(turn: Turn) -> str:
        for _ in range(MAX_REQUESTS + 20):
            await Agent().run("?", model=turn.helper_model(model(SMALL, 10)))
        return "done"

    async with open_call(voice) as call:
        record = await said(call)
    assert len(record.requests) == MAX_REQUESTS
    assert shown(record) == {SMALL: (MAX_REQUESTS + 20) * 10}
    assert record.shares[0].usage["requests"] == MAX_REQUESTS + 20


def test_a_record_of_an_older_version_has_the_one_model_that_it_names() -> None:
    from layercode_app.journal.record import Kind

    record = TurnRecord("c", "t", Kind.MESSAGE, "a", model=MAIN, usage={"requests": 2, "input_tokens": 9}, cost=0.5)
    assert [(share.model, share.usage, share.cost) for share in record.shares] == [
        (MAIN, {"requests": 2, "input_tokens": 9}, 0.5)
    ]
    assert TurnRecord("c", "t", Kind.MESSAGE, "a").shares == []
    # The second request was never answered. Its row has no usage and changes no sum.
    record.requests = [ModelCall(MAIN, 1.0, usage={"requests": 2, "input_tokens": 9}, cost=0.5), ModelCall(SMALL, 2.0)]
    assert shown(record) == {MAIN: 9, SMALL: 0}
