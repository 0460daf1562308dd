"""The private parts of other libraries that we touch mean what we think, and each has a fallback that works."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import logfire
import pytest
from loguru import logger
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import VoiceAgent
from layercode_app._compat import logfire as logfire_private
from layercode_app._compat import loguru as loguru_private
from layercode_app._compat import openai, opentelemetry, prometheus, uvicorn
from layercode_app._compat import pydantic_ai as private
from layercode_app.agent.capabilities import watch
from layercode_app.agent.fingerprint import fingerprint
from layercode_app.agent.tools import TurnTools

from .imports import modules
from .serving import serve

pytestmark = pytest.mark.anyio

# --- PydanticAI


def an_agent() -> Agent[None, str]:
    agent = Agent(TestModel(), instructions="Be brief.", system_prompt="You are a baker.")

    @agent.system_prompt
    def today() -> str:
        return "Today is Friday."

    @agent.output_validator
    def polite(text: str) -> str:
        if "please" not in text:
            raise ModelRetry("Say please.")
        return text

    return agent


def test_an_agents_instructions_prompts_and_validators_are_found() -> None:
    agent = an_agent()
    assert private.instructions(agent) == ["Be brief."]
    first, second = private.system_prompts(agent)
    assert first == "You are a baker."
    assert second.function.__name__ == "today"
    assert [one.function.__name__ for one in private.output_validators(agent)] == ["polite"]


def test_an_agent_that_does_not_show_its_parts_has_none_and_still_has_a_version() -> None:
    hidden = SimpleNamespace(model=None, output_type=str, toolsets=[], instructions=())
    assert private.instructions(hidden) == []
    assert private.capability_instructions(hidden) == []
    assert private.system_prompts(hidden) == []
    assert private.output_validators(hidden) == ()
    declared = SimpleNamespace(name="a", model_settings={}, hooks={}, agent=hidden, model=None)
    assert len(fingerprint(declared)) == 8


@pytest.fixture
def instrumented() -> Iterator[InstrumentationSettings]:
    before, settings = private.default_instrumentation(), InstrumentationSettings(include_content=False)
    Agent.instrument_all(settings)
    yield settings
    Agent.instrument_all(before)


def test_the_instrumentation_of_all_agents_is_what_was_set(instrumented: InstrumentationSettings) -> None:
    assert private.default_instrumentation() is instrumented


def test_without_it_tools_and_spans_stay_two_capabilities(
    instrumented: InstrumentationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn: Any = SimpleNamespace(model=None)
    voice = VoiceAgent("plain", Agent(TestModel()))
    assert type(watch(voice, turn)) is not TurnTools
    monkeypatch.delattr(Agent, "_instrument_default")
    assert private.default_instrumentation() is private.UNKNOWN
    assert type(watch(voice, turn)) is TurnTools


async def test_the_events_of_a_stream_are_replaced() -> None:
    async def others() -> AsyncIterator[Any]:
        yield "another event"

    agent = Agent(TestModel(custom_output_text="Hello."))
    async with agent.iter("hi") as running:
        async for node in running:
            if Agent.is_model_request_node(node):
                async with node.stream(running.ctx) as stream:
                    response: Any = stream._raw_stream_response
                    assert private.can_replace_events(response)
                    private.replace_events(response, others())
                    assert [event async for event in response._event_iterator] == ["another event"]
                    break
    assert not private.can_replace_events(SimpleNamespace())  # type: ignore[arg-type]


def test_a_server_of_tools_that_does_not_tell_is_opened_by_each_run() -> None:
    assert private.resolves_per_run(SimpleNamespace(_resolves_per_run=False)) is False
    assert private.resolves_per_run(SimpleNamespace()) is True


# --- the providers' client


async def test_the_http_client_of_a_model_is_the_one_that_it_was_given() -> None:
    provider = OpenAIProvider(api_key="test-key")
    client = openai.http_client(OpenAIChatModel("gpt-5-mini", provider=provider))
    assert isinstance(client, httpx2.AsyncClient)
    assert openai.http_client(TestModel()) is None


# --- Loguru


def test_handlers_and_patcher_are_shown() -> None:
    number = logger.add(lambda line: None)
    assert number in (loguru_private.handlers() or {})
    logger.remove(number)
    assert number not in (loguru_private.handlers() or {})


@pytest.mark.parametrize("shown", [True, False])
def test_a_handler_that_was_removed_is_added_again(shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shown:
        monkeypatch.setattr(loguru_private, "_core", None)
        assert loguru_private.handlers() is None
        assert loguru_private.patcher("unknown") == "unknown"
    heard: list[str] = []
    number = logger.add(heard.append, format="{message}")
    removed, again = loguru_private.added_again(number, lambda: logger.add(heard.append, format="{message}"))
    assert removed is False
    logger.remove(again)
    removed, again = loguru_private.added_again(again, lambda: logger.add(heard.append, format="{message}"))
    assert removed is True
    logger.info("once")
    logger.remove(again)
    assert heard == ["once\n"]


# --- OpenTelemetry, Logfire, Prometheus


def test_a_provider_that_is_not_shown_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opentelemetry.provider_may_be_set() is (trace._TRACER_PROVIDER is not None)
    monkeypatch.delattr(trace, "_TRACER_PROVIDER")
    assert opentelemetry.provider_may_be_set() is True


def test_encoded_spans_go_through_the_exporters_own_client() -> None:
    exporter = OTLPSpanExporter(endpoint="http://127.0.0.1:9/v1/traces", timeout=1)
    assert opentelemetry.send_encoded(exporter) is not None
    assert opentelemetry.send_encoded(SimpleNamespace()) is None  # type: ignore[arg-type]


def test_attributes_are_copied_and_a_span_keeps_its_encoding() -> None:
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("t").start_span("s", attributes={"a": 1}).end()
    (span,) = memory.get_finished_spans()
    attributes = span.attributes or {}
    assert opentelemetry.plain(attributes) == dict(attributes) == {"a": 1}
    assert opentelemetry.plain({"a": 1}) == {"a": 1}
    opentelemetry.cache_of(span)["encoded"] = b"x"
    assert opentelemetry.cache_of(span)["encoded"] == b"x"
    assert opentelemetry._no_cache(ReadableSpan("")) == {}


def test_an_exporter_without_preferences_gets_the_defaults() -> None:
    assert opentelemetry.preferences(SimpleNamespace()) == {  # type: ignore[arg-type]
        "preferred_temporality": None, "preferred_aggregation": None,
    }  # fmt: skip


def test_logfires_processors_and_the_registrys_collectors_are_shown() -> None:
    from prometheus_client import REGISTRY, Counter

    mine = SimpleSpanProcessor(InMemorySpanExporter())
    local = logfire.configure(local=True, send_to_logfire=False, console=False, additional_span_processors=[mine])
    assert logfire_private.span_processors(local) == [mine]
    assert logfire_private.span_processors(SimpleNamespace()) is None
    made = Counter("tests_compat_made", "Made by a test.")
    assert made in prometheus.collectors()
    REGISTRY.unregister(made)
    assert made not in prometheus.collectors()


# --- uvicorn


@pytest.mark.parametrize("known", [True, False])
async def test_an_answer_comes_whether_or_not_uvicorns_cycle_is_known(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[str] = []

    class Connection(uvicorn.CycleConnection):
        def channels(self, cycle: Any, receive: Any, send: Any) -> tuple[Any, Any]:
            replaced.append(type(cycle).__name__)
            return receive, send

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"here"})

    monkeypatch.setattr(uvicorn, "_known", {})
    if not known:
        monkeypatch.setattr(uvicorn, "CYCLE", ("no_such_attribute",))
    async with serve(app, lifespan="off", http=Connection) as url, httpx.AsyncClient() as page:
        assert (await page.get(url)).text == "here"
    assert replaced == (["RequestResponseCycle"] if known else [])


# --- nothing is touched elsewhere

OUR_OWN = {
    "_asdict", "_fields", "_replace", "_value_", "_name_",  # a tuple's and an enum's, which are public
    "_getframe", "_exit", "_MEIPASS",  # the interpreter's, documented
}  # fmt: skip


def _private_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            if parts[0] != "layercode_app" and any(part.startswith("_") and part != "__future__" for part in parts):
                yield f"line {node.lineno}: from {node.module} import {', '.join(a.name for a in node.names)}"


def _private_names(tree: ast.Module) -> Iterator[str]:
    """Yield the private names that are read off an object and that no class or module of ours defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"getattr", "setattr", "hasattr"}:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value


def _defined() -> set[str]:
    """Return every name that our own code defines: functions, classes, variables, attributes and slots."""
    names: set[str] = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                names.add(node.attr)
    return names


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def test_no_other_module_touches_a_private_part_of_another_library() -> None:
    defined, wrong = _defined() | OUR_OWN, []
    for module, tree in modules():
        if module.startswith("_compat/"):
            continue
        wrong += [f"{module}: {found}" for found in _private_imports(tree)]
        foreign = {n for n in _private_names(tree) if n.startswith("_") and not n.startswith("__") and n not in defined}
        wrong += [f"{module}: {name}" for name in sorted(foreign)]
    assert not wrong, "move these to layercode_app/_compat, each with a fallback:\n" + "\n".join(wrong)
