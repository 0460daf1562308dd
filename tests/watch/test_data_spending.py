"""The costs of hooks that handle data from the page count towards the conversation's budget, in every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.journal.record import Kind

from ..calling import calling, settings
from ..journals import STORES, journal_url
from ..priced import records

pytestmark = pytest.mark.anyio

COST = (400_000 * 0.25) / 1e6
"""Dollars for one data event."""


async def think(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart("x")], usage=RequestUsage(input_tokens=400_000))


def voice() -> VoiceAgent[Any, Any]:
    agent: VoiceAgent[Any, Any] = VoiceAgent("desk", greeting="Hello.")

    @agent.on_message
    async def answer(turn: Turn) -> str:
        return "Fine."

    @agent.on_data
    async def work(turn: Turn, data: Any) -> Any:
        if data == "work":
            await Agent(turn.helper_model(FunctionModel(think, model_name="gpt-5-mini"))).run("Think.")
        return {"done": data}

    return agent


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


async def test_data_events_use_up_the_budget_of_their_conversation(url: str, tmp_path: Path, warned: list[str]) -> None:
    given = settings(tmp_path, store=url, budget_conversation=f"${3.5 * COST}", budget_refusal="No more.")
    app = LayerCode(voice(), settings=given)
    said = []
    async with calling(app) as caller:
        for data in ("idle", "work", "work", "work", "idle", "work"):
            said.append((await caller.say("hello")).spoken)
            await caller.send({"type": "data", "data": data})
        said += [(await caller.say("hello")).spoken for _ in range(2)]
        journal = [record for record in await records(app) if record.kind is Kind.MESSAGE]
    assert said == ["Fine."] * 6 + ["No more."] * 2
    spent = [round((record.spent_before or {"cost": -1})["cost"] / COST, 6) for record in journal]
    assert spent == [0, 0, 1, 2, 3, 3, 4, 4]
    assert len([line for line in warned if "is 86% used" in line or "is 114% used" in line]) == 1


async def test_a_call_without_costly_data_events_reads_only_its_history(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = LayerCode(voice(), settings=settings(tmp_path, store=url, budget_conversation="$1"))

    def read(**options: Any) -> Any:
        raise AssertionError("the journal is read")

    async with calling(app) as caller:
        await caller.say("hello")
        await caller.send({"type": "data", "data": "idle"})
        with monkeypatch.context() as watched:
            watched.setattr(app.store, "turns", read)
            assert (await caller.say("hello")).spoken == "Fine."
