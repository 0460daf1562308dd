"""A sample of live calls is judged after they have ended, within a limit of cost.

The scores go to the journal, the spans and the reports.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import DeveloperError, Turn, VoiceAgent
from layercode_app.agent.live_judges import LiveJudges, live_judges, tell
from layercode_app.journal.cost import dollars
from layercode_app.journal.stores.base import Store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.journal.stores.redis import RedisStore
from layercode_app.judging.daily_limit import JUDGED
from layercode_app.judging.judge import Verdict
from layercode_app.observability.privacy import masking
from layercode_app.reports.report import make_report
from layercode_app.testing import open_call

from ..lost_answers import lose_answer
from ..redis_server import RedisServer

pytestmark = pytest.mark.anyio
ANSWERS = {"polite": "yes", "tools_right": "no", "Was the total told?": "maybe"}
COST = (1000 * 0.25 + 100 * 2) / 1e6
"""Dollars for one answer of the judge."""


@dataclass
class Desk:
    """An agent that answers "Fine.", and its judge.

    The judge fails `failures` times. After that, it answers each question as ANSWERS says.
    """

    sample: float = 1.0
    failures: int = 0
    asked: list[str] = field(default_factory=list)

    def voice(self, **options: Any) -> VoiceAgent[Any, Any]:
        model = FunctionModel(self._judge, stream_function=self._speak, model_name="gpt-5-mini")
        agent = Agent(model, deps_type=Turn, instructions="Be kind.")
        given = {"judges": list(ANSWERS), "judge_sample": self.sample, **options}
        return VoiceAgent("desk", agent, filler=False, **given)

    async def _speak(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "Fine."

    async def _judge(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        prompt = str(messages[-1].parts[-1].content)  # type: ignore[union-attr]
        self.asked.append(prompt)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the provider is away")
        [answer] = [answer for name, answer in ANSWERS.items() if live_judges([name], 1).questions[name] in prompt]
        verdict = json.dumps({"answer": answer, "reason": "So it was."})
        usage = RequestUsage(input_tokens=1000, output_tokens=100)
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, verdict)], usage=usage)


async def call_and_hang_up(voice: VoiceAgent[Any, Any], store: Store, **options: Any) -> list[dict[str, Any]]:
    """Make a call with two messages, and deliver its end twice. Return the scores of its two turns."""
    async with open_call(voice, store=store, **options) as call:
        await call.say("My number is 12.")
        await call.say("Thank you.")
        await call.end()
        await call.end()
        while any(job.name in ("task", "session_end") for job in await store.pending_jobs()):
            await asyncio.sleep(0.001)
        return [record.scores for record in await call.records() if record.user_text]


async def test_answers_become_scores_of_the_last_turn() -> None:
    desk, store = Desk(), MemoryStore()
    first, last = await call_and_hang_up(desk.voice(), store)
    assert first == {}
    assert {name: score["value"] for name, score in last.items()} == {
        "polite": True, "tools_right": False, "Was the total told?": "maybe",
    }  # fmt: skip
    assert last["polite"]["comment"] == "So it was."
    assert last["polite"]["cost"] == pytest.approx(COST)
    assert len(desk.asked) == 3, "the end was delivered twice"
    assert "Be kind." in desk.asked[0]
    assert "Caller: My number is 12.\nAgent: Fine.\nCaller: Thank you.\nAgent: Fine." in desk.asked[0]
    [spent] = (await store.totals("judges/")).values()
    assert spent["asked"] == 3
    assert spent["cost"] == pytest.approx(3 * COST)
    report = await make_report(store)
    assert list(report.total.scores["polite"].numbers) == [1]


async def test_the_sample_is_the_share_that_was_asked_for_and_the_same_each_time() -> None:
    judges = live_judges(["polite"], 0.05)
    chosen = [judges.choose(f"call-{number}", "session") for number in range(10_000)]
    assert 400 < sum(chosen) < 600
    assert chosen == [judges.choose(f"call-{number}", "session") for number in range(10_000)]
    assert not LiveJudges().choose("call", "session")
    desk = Desk(sample=0)
    await call_and_hang_up(desk.voice(), MemoryStore())
    assert desk.asked == []


async def test_a_days_limit_of_cost_is_kept_and_said_once(warned: list[str]) -> None:
    desk, store = Desk(), MemoryStore()
    for name in ("one", "two", "three"):
        await call_and_hang_up(desk.voice(), store, conversation_id=name, settings={"judge_max_cost": 1.5 * COST})
    assert len(desk.asked) == 2
    [said] = [line for line in warned if "judged" in line]
    assert said == (
        f"No more calls are judged today: the judges have cost {dollars(2 * COST)}, "
        f"and LAYERCODE_JUDGE_MAX_COST is {dollars(1.5 * COST)}."
    )


async def test_a_days_limit_is_said_once_although_the_answer_of_the_store_was_lost(
    redis_server: RedisServer, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.jobs.queue.RETRY_SECONDS", (0.01, 0.01))
    redis_server.clear()
    desk, store = Desk(), RedisStore(redis_server.url)
    lose_answer(store, JUDGED, "left_out", monkeypatch)
    for name in ("one", "two"):
        await call_and_hang_up(desk.voice(), store, conversation_id=name, settings={"judge_max_cost": 0.5 * COST})
    assert len([line for line in warned if "No more calls are judged" in line]) == 1
    await store.open()
    [spent] = (await store.totals(JUDGED)).values()
    await store.close()
    assert spent["left_out"] == 2


async def test_a_judge_that_fails_is_asked_again_and_not_about_what_it_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("layercode_app.jobs.queue.RETRY_SECONDS", (0.01, 0.01))
    desk, store = Desk(failures=1), MemoryStore()
    _, last = await call_and_hang_up(desk.voice(), store)
    assert set(last) == set(ANSWERS)
    assert len(desk.asked) == 4


async def test_without_a_model_nothing_is_judged() -> None:
    store = MemoryStore()
    _, last = await call_and_hang_up(Desk().voice(), store, model="offline")
    assert last == {}


@pytest.mark.parametrize(
    ("judges", "sample", "told"),
    [
        (["politeness"], 0.1, "judge 'politeness': expected a question, or one of all, brief"),
        ("polite", 0.1, r"judges='polite': expected names and questions, such as \['task_completed'"),
        ([""], 0.1, r"judges=\[''\]: expected names"),
        ({"told": 3}, 0.1, r"judges=\{'told': 3\}: expected names"),
        (["review"], 0.1, "judge 'review': expected a question"),
        (
            {"review": "Was the agent polite?"},
            0.1,
            "the score 'review' is a person's verdict on a call. Give the judge",
        ),
        ({"feedback": "Was the agent polite?"}, 0.1, "the score 'feedback' is the caller's rating of a turn"),
        (["polite"], 5, "judge_sample=5: expected a share of the calls from 0 to 1, such as 0.05"),
        (["polite"], "5%", "judge_sample='5%': expected a share"),
    ],
)
def test_what_cannot_be_judged_is_said_when_the_agent_is_made(judges: Any, sample: Any, told: str) -> None:
    with pytest.raises(DeveloperError, match=told):
        VoiceAgent("desk", judges=judges, judge_sample=sample)


def test_own_questions_may_have_names() -> None:
    assert live_judges({"told": "Was the total told?"}, 0.1).questions == {"told": "Was the total told?"}


async def test_a_report_counts_the_turns_of_the_calls_with_a_score() -> None:
    desk, store = Desk(), MemoryStore()
    await call_and_hang_up(desk.voice(judges=["polite", "tools_right"]), store, conversation_id="judged")
    await call_and_hang_up(desk.voice(judges=["polite"]), store, conversation_id="polite only")
    await call_and_hang_up(desk.voice(judges=()), store, conversation_id="not judged")
    report = await make_report(store, by="score")
    assert {name: tally.turns for name, tally in report.groups.items()} == {"polite yes": 4, "tools_right no": 2}
    assert report.total.turns == 6


@pytest.mark.parametrize("content", [False, True])
def test_spans_have_the_answers_and_only_with_content_the_reasons(
    monkeypatch: pytest.MonkeyPatch, content: bool
) -> None:
    monkeypatch.setattr(masking, "capture_content", lambda: content)
    sent, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(sent))
    with provider.get_tracer("test").start_as_current_span("job"):
        tell("desk", "polite", Verdict(answer="yes", reason="So it was."))
    [[told]] = [span.events for span in sent.get_finished_spans()]
    assert told.name == "gen_ai.evaluation.result"
    expected: dict[str, Any] = {"gen_ai.evaluation.name": "polite", "gen_ai.evaluation.score.label": "yes"}
    expected["gen_ai.evaluation.score.value"] = 1.0
    assert dict(told.attributes or {}) == expected | (
        {"gen_ai.evaluation.explanation": "So it was."} if content else {}
    )
