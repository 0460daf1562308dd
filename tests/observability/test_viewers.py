"""Trace viewers get span names, attributes and host metrics, and no spans of an idle server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

import pytest
from loguru import logger
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from layercode_app.observability.exporting import Target, metrics_to
from layercode_app.observability.outages import SinkOutage
from layercode_app.observability.setup import wants_tracing
from layercode_app.observability.tracing import _targets, signals_sent
from layercode_app.settings import Settings

from .collectors import Collector, SeenSpan, collecting
from .observed import observed

pytestmark = pytest.mark.anyio

AGENT = """
from typing import Any

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Turn, VoiceAgent


async def play(messages: list[ModelMessage], info: AgentInfo) -> Any:
    requests = sum(message.kind == "request" for message in messages)
    if requests == 1:
        yield {0: DeltaToolCall(name="order", json_args='{"number": "no number"}', tool_call_id="c1")}
    elif requests == 2:
        yield {0: DeltaToolCall(name="order", json_args='{"number": 1}', tool_call_id="c2")}
    else:
        yield "Ordered." if requests > 3 else "Or"


nameless = Agent(FunctionModel(stream_function=play), deps_type=Turn)
agent = VoiceAgent("bakery-line", nameless)


@nameless.tool_plain(retries=3)
async def order(number: int) -> str:
    raise ModelRetry("sold out, order something else")


@nameless.output_validator
def complete(text: str) -> str:
    if text == "Or":
        raise ModelRetry("say it all")
    return text
"""


@dataclass
class Seen:
    """The telemetry that a server sent to a collector while it idled, answered a turn, and idled again."""

    spans: list[SeenSpan]
    collector: Collector
    scraped: str


@pytest.fixture(scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    folder = tmp_path_factory.mktemp("viewers")
    with collecting() as collector:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with observed(
            folder, agent=AGENT, name="bakery-line", LAYERCODE_ALERT_INTERVAL="0.05", **endpoint
        ) as server:
            await server.say("one loaf")
            await asyncio.sleep(0.3)
            scraped = (await server.client._http.get(server.url + "/metrics")).text
            await server.stop()
        yield Seen(collector.spans(), collector, scraped)


async def test_an_idle_server_makes_no_trace(seen: Seen) -> None:
    roots = {span.name for span in seen.spans if not span.parent_id}
    assert roots == {"turn bakery-line"}


async def test_a_nameless_agent_has_the_name_of_its_voice(seen: Seen) -> None:
    names = {span.name for span in seen.spans}
    assert "invoke_agent bakery-line" in names
    assert "invoke_agent agent" not in names


async def test_a_turns_span_has_method_route_and_status(seen: Seen) -> None:
    (turn,) = [span for span in seen.spans if span.name == "turn bakery-line"]
    assert turn.attributes["http.request.method"] == "POST"
    assert turn.attributes["http.route"] == "/api/agent"
    assert turn.attributes["http.response.status_code"] == 200


async def test_what_validators_and_tools_sent_back_is_counted(seen: Seen) -> None:
    (turn,) = [span for span in seen.spans if span.name == "turn bakery-line"]
    assert turn.attributes["layercode.turn.validation_retries"] == 3
    assert turn.attributes["layercode.turn.retries"] == 0
    assert seen.collector.metrics()["layercode.validation.retries"] == 3
    assert 'layercode_validation_retries_total{agent="bakery-line"} 3.0' in seen.scraped


async def test_a_collector_is_sent_the_hosts_figures(seen: Seen) -> None:
    sent = seen.collector.metrics()
    assert sent["layercode.system.memory_total_bytes"] > 1e6
    assert sent["layercode.system.disk_total_bytes"] > 1e6
    assert sent["layercode.process.resident_bytes"] > 1e6
    assert {"layercode.system.cpu_percent", "layercode.system.network_sent_bytes"} <= sent.keys()
    named = {line.split()[2] for line in seen.scraped.splitlines() if line.startswith("# TYPE layercode_system")}
    assert {name.replace(".", "_") for name in sent if ".system." in name} == named


@pytest.mark.parametrize(
    ("names", "signals"),
    [
        ([""], ["traces", "metrics"]),
        (["TRACES_"], ["traces"]),
        (["METRICS_"], ["metrics"]),
        (["TRACES_", "METRICS_"], ["traces", "metrics"]),
        ([], []),
    ],
)
def test_each_signal_is_sent_where_it_has_an_endpoint(
    names: Sequence[str], signals: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {f"OTEL_EXPORTER_OTLP_{name}ENDPOINT": "http://127.0.0.1:9/v1" for name in names}
    assert signals_sent(variables) == signals
    assert [target.signals for target in _targets(Settings(), variables)] == ([signals] if signals else [])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wants_tracing(Settings()) is bool(signals)


def test_metrics_are_sent_to_an_endpoint_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{collector.url}/v1/metrics")
        (target,) = _targets(Settings(), {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": collector.url})
        reader = PeriodicExportingMetricReader(metrics_to([target]))
        MeterProvider(metric_readers=[reader], shutdown_on_exit=False).get_meter("test").create_counter("counted").add(
            2
        )
        reader.shutdown(timeout_millis=30_000)
        assert collector.metrics()["counted"] == 2


# --- a sink that takes traces only


@pytest.fixture
def told() -> Iterator[list[str]]:
    found: list[str] = []
    number = logger.add(lambda line: found.append(line.strip()), level="INFO", format="{message}")
    yield found
    logger.remove(number)


ALL, METRICS = "does not accept data", "set OTEL_METRICS_EXPORTER=none"
AGAIN, METRICS_AGAIN = "Phoenix works again.", "Phoenix accepts metrics again."


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        # Each letter is an export. T and M: traces or metrics were accepted. t and m: traces or metrics were refused.
        ("TmTmTTmTm", [METRICS]),
        ("mTmTm", [ALL, AGAIN, METRICS]),
        ("tmtm", [ALL]),
        ("mtmt", [ALL]),
        ("tmTMTM", [ALL, AGAIN]),
        ("tmMTM", [ALL, AGAIN]),
        ("TMtTt", [ALL, AGAIN, ALL]),
        ("TmTtTm", [METRICS, ALL, AGAIN]),
        ("TmTM", [METRICS, METRICS_AGAIN]),
        ("mmM", [ALL, AGAIN]),
    ],
)
def test_it_is_said_once_and_how_to_set_it(happened: str, expected: list[str], told: list[str]) -> None:
    outage = SinkOutage("Phoenix")
    for letter in happened:
        signal = "traces" if letter in "Tt" else "metrics"
        outage.worked(signal=signal) if letter.isupper() else outage.failed("refused", signal=signal)
    assert len(told) == len(expected), told
    assert all(words in line for words, line in zip(expected, told, strict=True)), told


def test_a_viewer_of_traces_only_is_one_warning(told: list[str]) -> None:
    with collecting("error") as metrics:
        target = Target("Phoenix", metrics.url)
        for _ in range(3):
            target.attempt(lambda: True, signal="traces")
            reader = PeriodicExportingMetricReader(metrics_to([target]))
            MeterProvider(metric_readers=[reader], shutdown_on_exit=False).get_meter("t").create_counter("c").add(1)
            reader.shutdown(timeout_millis=30_000)
    assert [line for line in told if METRICS in line] == told
    assert len(told) == 1
