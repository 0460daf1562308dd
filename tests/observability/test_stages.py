"""An agent's stage has the same time on the span, in the journal, `sessions show`, `report` and `profile`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from layercode_app.journal.open import open_journal
from layercode_app.reports.conversations import turn_json
from layercode_app.reports.report import make_report
from layercode_app.reports.text import as_text

from .. import forked
from ..processes import clean_environment
from .collectors import collecting
from .observed import observed

pytestmark = pytest.mark.anyio

STAGED = """
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("staged")
helper = Agent(name="planner")


async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse([TextPart("planned")], usage=RequestUsage(input_tokens=4000, output_tokens=300))


@agent.on_message
async def work(turn: Turn) -> str:
    with turn.span("plan", depth=2):
        result = await helper.run(turn.text, model=turn.helper_model(FunctionModel(answer, model_name="gpt-5-mini")))
    return result.output
"""


async def printed(folder: Path, *words: str) -> str:
    done = await asyncio.to_thread(
        forked.run, ["-m", "layercode_app", *words], cwd=folder, env=clean_environment(COLUMNS="200")
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_stages_tokens_and_cost_are_everywhere_the_same(tmp_path: Path) -> None:
    with collecting() as collector:
        async with observed(tmp_path, agent=STAGED, name="staged", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
            await server.say("go")
            await server.stop()
    turn, stage, run, chat = (
        next(span for span in collector.spans() if span.name.startswith(name))
        for name in ("turn staged", "plan", "invoke_agent planner", "chat gpt-5-mini")
    )
    assert (run.parent_id, chat.parent_id) == (stage.span_id, run.span_id)
    assert stage.attributes["depth"] == 2
    assert stage.attributes["layercode.stage.requests"] == 1
    for side in (stage, turn):
        assert side.attributes["gen_ai.aggregated_usage.input_tokens"] == 4000
        assert side.attributes["gen_ai.aggregated_usage.output_tokens"] == 300
        assert side.attributes["gen_ai.response.model"] == "gpt-5-mini"
    cost = stage.attributes["layercode.stage.cost"]
    assert cost == turn.attributes["layercode.turn.cost"] == pytest.approx(chat.attributes["operation.cost"])

    shown, profile = await asyncio.gather(
        printed(tmp_path, "sessions", "show", "conv-1"),
        printed(tmp_path, "profile", "staged", "--turns", "2", "--json"),
    )
    async with open_journal(f"sqlite:///{tmp_path}/.layercode/journal.sqlite3") as journal:
        (record,) = [record async for record in journal.turns()]
        report = await make_report(journal, by="stage")
    assert "Stage:  plan done" in shown
    assert shown.count(f"4,000+300 tokens · cost ${cost:.4f}") == 2
    (kept,) = turn_json(record)["stages"]
    assert (kept["name"], kept["usage"]["input_tokens"], kept["cost"]) == ("plan", 4000, cost)
    (counted,) = report.as_json()["stages"]
    assert (counted["key"], counted["runs"], counted["requests"]) == ("staged: plan", 1, 1)
    assert counted["cost"] == pytest.approx(cost, abs=1e-6)
    assert "staged: plan" in as_text(report)
    assert json.loads(profile)["stages_ms"]["span plan"]["n"] == 2
