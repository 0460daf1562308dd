"""The spans of real turns, as a collector that decodes them sees them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from layercode_app.webhook import sign

from ..processes import ROOT
from .collectors import Collector, SeenSpan, collecting
from .observed import SECRET, TOKEN, observed

pytestmark = pytest.mark.anyio


def below(spans: list[SeenSpan], parent: SeenSpan) -> list[str]:
    return sorted(span.name for span in spans if span.parent_id == parent.span_id)


def one(spans: list[SeenSpan], name: str) -> SeenSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


@pytest.mark.slow
async def test_a_turn_with_a_tool_is_one_tree_with_the_conversation_on_every_span(tmp_path: Path) -> None:
    with collecting() as collector:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_RESOURCE_ATTRIBUTES": "team=voice"}
        async with observed(tmp_path, SERVICE_NAME="bakery-line", APP_ENV="test", **endpoint) as server:
            frames = await server.say("use the tool")
            await server.stop()
            lines = [json.loads(line) for line in server.logged.splitlines()]
        spans = collector.spans()

    assert frames[-1].type == "response.end"
    turn = one(spans, "turn observed")
    assert turn.parent_id == ""
    # Leave out the spans of background work, which are in other traces than the turn.
    spans = [span for span in spans if span.trace_id == turn.trace_id or "layercode.turn.id" in span.attributes]
    assert below(spans, turn) == ["history", "invoke_agent observed", "save", "verify"]
    run = one(spans, "invoke_agent observed")
    assert below(spans, run) == ["chat function::play", "chat function::play", "execute_tool look_up"]
    tool = one(spans, "execute_tool look_up")
    assert below(spans, tool) == ["own stage", "plain logfire", "plain opentelemetry"]
    assert {span.trace_id for span in spans} == {turn.trace_id}
    assert {span.attributes.get("gen_ai.conversation.id") for span in spans} == {"conv-1"}
    assert len(spans) < 50

    # The turn's span lasts from the request to the last byte. So no other span and no measured time is longer.
    assert turn.seconds >= max(span.seconds for span in spans)
    line = next(line for line in lines if line.get("event") == "turn")
    assert turn.attributes["layercode.turn.total_ms"] == line["total_ms"]
    assert turn.attributes["layercode.turn.ttfs_ms"] == line["ttfs_ms"]
    assert turn.attributes["layercode.turn.ttft_ms"] == line["ttft_ms"]
    assert turn.seconds * 1000 >= line["total_ms"]
    assert line["trace_id"] == turn.trace_id
    assert line["span_id"] == turn.span_id
    inside = next(line for line in lines if line["message"].startswith("number"))
    assert (inside["trace_id"], inside["span_id"]) == (turn.trace_id, tool.span_id)

    resource = collector.resources()[0]
    assert resource["service.name"] == "bakery-line"
    assert resource["deployment.environment.name"] == "test"
    assert resource["team"] == "voice"


@pytest.mark.slow
async def test_logfire_gets_the_same_spans_with_its_token_and_otlp_may_have_them_too(tmp_path: Path) -> None:
    with collecting() as logfire, collecting() as otlp:
        env = {"LOGFIRE_TOKEN": TOKEN, "LOGFIRE_BASE_URL": logfire.url, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url}
        async with observed(tmp_path, **env) as server:
            await server.say("use the tool")
            await server.stop()

    names = [sorted(span.name for span in collector.spans()) for collector in (logfire, otlp)]
    assert names[0] == names[1]
    assert len(names[0]) >= 11
    assert {headers.get("authorization") for headers in logfire.headers} == {TOKEN}
    assert {headers.get("authorization") for headers in otlp.headers} == {None}
    assert logfire.metrics()["layercode.turns"] == otlp.metrics()["layercode.turns"] == 1


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"TELEMETRY_ENABLED": "false"},
        {"OTEL_TRACES_SAMPLER": "always_off"},
        {"OTEL_TRACES_SAMPLER_ARG": "0"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"LAYERCODE_TRACE_RATE": "0"},
    ],
    ids=lambda env: next(iter(env)),
)
@pytest.mark.slow
async def test_no_span_is_sent_where_a_variable_says_so(env: dict[str, str], tmp_path: Path) -> None:
    with collecting() as collector:
        async with observed(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **env) as server:
            await server.say("use the tool")
            await server.stop()
    assert collector.spans() == []


async def test_the_tail_keeps_failed_and_slow_turns(tmp_path: Path) -> None:
    with collecting() as collector:
        env = {"LAYERCODE_TRACE_RATE": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with observed(tmp_path, **env) as server:
            await server.say("an ordinary turn with a tool", turn="t1")
            await server.say("the tool shall fail", turn="t2")
            await server.stop()
        failed = collector.spans()
        collector.bodies.clear()
        async with observed(tmp_path, LAYERCODE_SLOW_TURN="0.0001", **env) as server:
            await server.say("use the tool", turn="t3")
            await server.stop()
        slow = collector.spans()

    assert {span.attributes["layercode.turn.id"] for span in failed} == {"t2"}
    assert one(failed, "turn observed").failed
    assert {span.attributes["layercode.turn.id"] for span in slow} == {"t3"}


OUTGOING = """
import httpx
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("caller")

@agent.on_message
async def ask(turn: Turn) -> str:
    async with httpx.AsyncClient() as client:
        for url in turn.text.split():
            await client.post(url + "/v1/chat?key=test-secret-in-a-query", headers={"x-target": url})
    return "done"
"""


async def test_requests_have_spans_and_only_listed_hosts_are_sent_the_trace(tmp_path: Path) -> None:
    with collecting() as collector, collecting() as listed, collecting() as other:
        own = listed.url.replace("127.0.0.1", "localhost")
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LAYERCODE_TRACE_HOSTS": "localhost"}
        async with observed(tmp_path, agent=OUTGOING, name="caller", **env) as server:
            await server.say(f"{own} {other.url}")
            await server.stop()

    (told,), (untold,) = ([headers for headers in side.headers if "x-target" in headers] for side in (listed, other))
    turn = one(collector.spans(), "turn caller")
    assert told["traceparent"].split("-")[1] == turn.trace_id
    assert not {"traceparent", "baggage", "tracestate"} & {name.lower() for name in untold}
    requests = [span for span in collector.spans() if span.name == "POST"]
    hook = one(collector.spans(), "on_message")
    assert hook.parent_id == turn.span_id
    assert [span.parent_id for span in requests] == [hook.span_id] * 2
    assert b"test-secret-in-a-query" not in collector.raw


async def test_an_incoming_traceparent_is_not_believed(tmp_path: Path) -> None:
    with collecting() as collector:
        async with observed(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
            server.client._headers = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"}
            await server.say("hello")
            await server.stop()
    assert one(collector.spans(), "turn observed").trace_id != "1" * 32


async def test_a_debug_run_prints_the_tree_of_each_turn(tmp_path: Path) -> None:
    async with observed(tmp_path, "--verbose") as server:
        await server.say("use the tool")
        await server.stop()
        tree = server.printed.partition("spans of trace")[2]
    turn, history, tool = (
        re.search(rf"\n( *){name}  ", tree) for name in ("turn observed", "history", "execute_tool look_up")
    )
    assert turn is not None
    assert history is not None
    assert tool is not None
    assert len(turn[1]) < len(history[1]) < len(tool[1]), "each is indented below what it is a part of"
    assert "frame response.end at" in server.printed
    assert "tool look_up done after" in server.printed


def seen(collector: Collector, name: str) -> list[SeenSpan]:
    return [span for span in collector.spans() if span.name == name]


@pytest.mark.slow
async def test_an_interrupted_turn_is_marked_and_is_no_error(tmp_path: Path) -> None:
    with collecting() as collector:
        async with observed(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
            event = {"type": "message", "text": "wait", "turn_id": "t1", "session_id": "s", "conversation_id": "c"}
            async with server.client.deliver(event) as answer:
                frames = answer.frames()
                await anext(frames)
            collector.wait_for(lambda: bool(seen(collector, "turn observed")))
            await server.stop()
    turn = one(collector.spans(), "turn observed")
    assert turn.attributes["layercode.turn.interrupted"] is True
    assert not turn.failed


async def test_a_refused_request_has_a_span_that_says_why_and_quotes_nothing(tmp_path: Path) -> None:
    with collecting() as collector:
        limits = {"LAYERCODE_BODY_LIMIT": "1000", "LAYERCODE_AGENT_ID": "test-agent"}
        async with observed(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **limits) as server:
            http, body = server.client._http, b'{"type": "message", "text": ["marzipan"]}'
            webhook = server.url + "/api/agent"
            await http.post(webhook, content=body, headers={"layercode-signature": "t=1,v1=marzipan"})
            await http.post(webhook, content=body, headers={"layercode-signature": sign(body, SECRET)})
            await http.post(webhook, content=b"marzipan" * 200)
            await http.get(webhook)
            await http.post(server.url + "/api/agents/nobody?marzipan", content=body)
            await http.post(server.url + "/api/authorize", json={"agent_id": "marzipan"})
            for probe in ("/health", "/ready", "/metrics"):
                await http.get(server.url + probe)
                await http.delete(server.url + probe)
            await server.stop()
    spans = [span for span in collector.spans() if "url.path" in span.attributes]
    figures = [(span.name, span.attributes["http.response.status_code"], span.attributes["url.path"]) for span in spans]
    assert figures == [
        ("refused 401", 401, "/api/agent"),
        ("refused 400", 400, "/api/agent"),
        ("refused 413", 413, "/api/agent"),
        ("refused 405", 405, "/api/agent"),
        ("refused 404", 404, "/api/agents/nobody"),
        ("POST /api/authorize", 403, "/api/authorize"),
    ]
    reasons = [span.attributes["layercode.refusal"] for span in spans]
    wanted = (
        "old; at most 300 s",
        "field",
        "over the limit|at most 1000",
        "method",
        "no such path",
        "RefusedError",
    )
    assert all(re.search(words, reason) for words, reason in zip(wanted, reasons, strict=True)), reasons
    # A refused request is not a failure: an alert on failures must not fire for a stranger's request.
    assert not any(span.failed for span in spans)
    assert all(span.parent_id == "" for span in spans)
    assert b"marzipan" not in collector.raw


OWED_WORK = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from layercode_app.observability import spans

sent = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(sent))
trace.set_tracer_provider(provider)
with spans.continued("owed", {}), spans.span("stage"):
    pass
print(*(span.name for span in sent.get_finished_spans()))
"""


def test_stages_of_owed_work_are_traced_before_any_turn_ran() -> None:
    done = subprocess.run([sys.executable, "-c", OWED_WORK], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["stage", "owed"], done.stderr


LATE_WORK = """
from contextvars import copy_context

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from layercode_app.observability import spans

sent = InMemorySpanExporter()


def work():
    with spans.span("stage"):
        pass


for sampler in (ALWAYS_ON, ALWAYS_OFF):
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    spans.tracer = provider.get_tracer("test")
    trace.set_tracer_provider(provider)
    with spans.continued("turn", {}):
        context = copy_context()
    context.run(work)
turn, stage = sent.get_finished_spans()
print(turn.name, stage.name, stage.parent.span_id == turn.context.span_id)
"""


def test_a_stage_after_the_end_of_its_turn_is_traced_below_it() -> None:
    done = subprocess.run([sys.executable, "-c", LATE_WORK], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["turn", "stage", "True"], done.stderr
