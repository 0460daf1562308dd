"""A single capability records the spans of a run and watches over the run's tools.

It makes the same spans as two separate capabilities, PydanticAI's `Instrumentation` and our `TurnTools`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.hooks import Hooks
from pydantic_ai.capabilities.instrumentation import Instrumentation
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel
from pydantic_ai.models.test import TestModel

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent import capabilities, pydantic_ai_run
from layercode_app.agent.consent import Consent
from layercode_app.agent.tools import TurnTools

from ..calling import calling, settings

pytestmark = pytest.mark.anyio
EACH_RUN_HAS_ITS_OWN = ("gen_ai.agent.call.id", "gen_ai.conversation.id", "gen_ai.client.operation.time_to_first_chunk")


class Recorded:
    """A recorder of spans. It has its own tracer provider, and keeps the spans in memory."""

    def __init__(self) -> None:
        self.sent = InMemorySpanExporter()
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self.sent))

    @property
    def settings(self) -> InstrumentationSettings:
        return InstrumentationSettings(tracer_provider=self._provider, include_content=True)

    @property
    def tracer(self) -> Tracer:
        return self._provider.get_tracer("mine")

    @property
    def names(self) -> list[str]:
        return sorted(span.name for span in self.sent.get_finished_spans())

    def taken(self) -> list[Any]:
        spans = self.sent.get_finished_spans()
        self.sent.clear()
        names = {span.context.span_id: span.name for span in spans}
        return sorted((_comparable(span, names) for span in spans), key=repr)


def _comparable(span: ReadableSpan, names: dict[int, str]) -> Any:
    attributes = {
        name: type(value) if name in EACH_RUN_HAS_ITS_OWN else value for name, value in (span.attributes or {}).items()
    }
    events = [(event.name, (event.attributes or {}).get("exception.type")) for event in span.events]
    parent = names[span.parent.span_id] if span.parent else None
    return span.name, parent, span.kind, span.status.status_code, attributes, events


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    found = Recorded()
    Agent.instrument_all(found.settings)
    yield found
    Agent.instrument_all(False)


def looking_up(recorded: Recorded, **options: Any) -> Agent[None, str]:
    async def play(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield "Let me see. "
        if len(messages) == 1:
            yield {1: DeltaToolCall(name="look_up", json_args='{"what": "it"}', tool_call_id="c1")}
            yield {2: DeltaToolCall(name="look_up", json_args='{"what": "none"}', tool_call_id="c2")}

    agent: Agent[None, str] = Agent(FunctionModel(stream_function=play), name="looking", retries=2, **options)

    @agent.tool_plain
    async def look_up(what: str) -> str:
        with recorded.tracer.start_as_current_span("inside"):
            if what == "none":
                raise ModelRetry("ask for something")
        return "found"

    return agent


async def said(agent: Any, folder: Path, text: str = "hello") -> Any:
    async with calling(LayerCode(VoiceAgent("looking", agent), settings=settings(folder))) as caller:
        return await caller.say(text)


async def test_one_capability_makes_the_spans_that_two_make(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = looking_up(recorded)
    made: list[AbstractCapability[Any]] = []

    def watched(voice: Any, turn: Any, consent: Any) -> AbstractCapability[Any]:
        made.append(capabilities.watch(voice, turn, consent))
        return made[-1]

    monkeypatch.setattr(pydantic_ai_run, "watch", watched)
    together = await said(agent, tmp_path / "together")
    spans = recorded.taken()
    monkeypatch.setattr(pydantic_ai_run, "watch", TurnTools)
    apart = await said(agent, tmp_path / "apart")

    assert [type(one) for one in made] == [capabilities.TracedTurnTools]
    for one, other in zip(spans, recorded.taken(), strict=True):
        assert one == other
    tree = {(name, parent) for name, parent, *_ in spans}
    assert tree == {
        ("inside", "execute_tool look_up"),
        ("execute_tool look_up", "invoke_agent looking"),
        ("chat function::play", "invoke_agent looking"),
        ("invoke_agent looking", None),
    }
    assert together.spoken == apart.spoken


def chosen(agent: Any, model: Any = None) -> type[Any]:
    turn: Any = type("Turn", (), {"model": model})()
    voice = VoiceAgent("looking", agent)
    return type(capabilities.watch(voice, turn, Consent(voice, turn)))


class Own(AbstractCapability[Any]):
    """A user's capability without a hook around tool calls.

    PydanticAI lets a capability replace itself for a run, and the replacement may have such a hook.
    """


def test_who_is_instrumented_otherwise_is_left_to_pydantic_ai(recorded: Recorded) -> None:
    assert chosen(Agent(TestModel())) is capabilities.TracedTurnTools
    assert chosen(Agent(TestModel(), capabilities=[Instrumentation(settings=recorded.settings)])) is TurnTools
    assert chosen(Agent(TestModel(), capabilities=[Hooks()])) is TurnTools
    assert chosen(Agent(TestModel(), capabilities=[Own()])) is TurnTools
    assert chosen(Agent(TestModel()), InstrumentedModel(TestModel(), recorded.settings)) is TurnTools
    silent = Agent(TestModel())
    silent.instrument = False
    assert chosen(silent) is TurnTools
    Agent.instrument_all(True)
    assert chosen(Agent(TestModel())) is TurnTools
    Agent.instrument_all(False)
    assert chosen(Agent(TestModel())) is TurnTools


async def test_an_agent_with_spans_of_its_own_is_not_instrumented_twice(recorded: Recorded, tmp_path: Path) -> None:
    own = Recorded()
    await said(looking_up(recorded, capabilities=[Instrumentation(settings=own.settings)]), tmp_path)
    assert own.names.count("invoke_agent looking") == 1
    assert own.names.count("execute_tool look_up") == 2
    assert set(recorded.names) == {"inside"}


async def test_a_model_with_spans_of_its_own_is_not_instrumented_twice(recorded: Recorded, tmp_path: Path) -> None:
    own = Recorded()
    agent = looking_up(recorded)
    agent.model = InstrumentedModel(agent.model, own.settings)  # type: ignore[arg-type]
    await said(agent, tmp_path)
    assert own.names.count("invoke_agent looking") == 1
    assert set(recorded.names) == {"inside"}
