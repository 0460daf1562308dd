"""The dashboards in docs/ fit the telemetry that a real server emitted.

Grafana's panels ask for metrics and labels that exist. Logfire's queries run, and find a value for every column.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import promql_parser as promql
import pytest

from layercode_app.emulator.webhooks import WebhookClient

from ..postgres_server import PostgresServer
from .collectors import SeenSpan, collecting
from .observed import SECRET, Observed, observed

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "docs" / "dashboards"

PRICED = """
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import Turn, VoiceAgent

tries = []


async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse([TextPart("planned")], usage=RequestUsage(input_tokens=4000, output_tokens=300))


async def stream(messages: list[ModelMessage], info: AgentInfo):
    tries.append(1)
    if len(tries) == 1:
        raise ModelAPIError("gpt-5-mini", "not reachable for a moment")
    yield "Done."


main = Agent(FunctionModel(stream_function=stream, model_name="gpt-5-mini"), deps_type=Turn)
agent = VoiceAgent("priced", main)


@agent.while_thinking
async def think(turn: Turn) -> None:
    with turn.span("plan"):
        await Agent().run("?", model=turn.helper_model(FunctionModel(answer, model_name="gpt-5-mini")))
"""
"""An agent whose turn has a price, a stage with a model request, a model error, and a retry that succeeds.

The agent in `observed.py` has no such turns.
"""


@dataclass
class Emitted:
    """The metrics that a server showed to Prometheus, and the spans that it sent to a collector."""

    scraped: str
    spans: list[SeenSpan]


@pytest.fixture(scope="module")
async def emitted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Emitted]:
    folder = tmp_path_factory.mktemp("dashboards")
    (folder / "agents").mkdir()
    (folder / "agents" / "priced.py").write_text(PRICED)
    with collecting() as collector:
        async with observed(folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
            scraped = await take_calls(server)
            await server.stop()
        yield Emitted(scraped, collector.spans())


async def take_calls(server: Observed) -> str:
    """Make one turn of each kind, and one request that is refused. Return the text of `/metrics` after that."""
    await server.say("use the tool", turn="t1")
    await server.say("the tool shall fail", turn="t2")
    event = {"type": "message", "text": "wait", "turn_id": "t3", "session_id": "s", "conversation_id": "c"}
    async with server.client.deliver(event) as answer:
        await anext(answer.frames())
    plan = {**event, "turn_id": "t4", "text": "plan"}
    async with WebhookClient(server.url + "/api/agents/priced", SECRET) as client, client.deliver(plan) as answer:
        said = [frame.content async for frame in answer.frames() if frame.type == "response.tts"]
    assert "".join(said) == "Done."
    await server.client._http.post(server.url + "/api/agent", content=b"{}")
    text = ""
    for _ in range(400):
        text = (await server.client._http.get(server.url + "/metrics")).text
        if "layercode_interruptions_total{" in text:
            break
        await asyncio.sleep(0.05)
    return text


# --- Prometheus


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def variables() -> list[tuple[str, str]]:
    """Return the metric and the label of each selection list at the top of the Grafana dashboard."""
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    asked = [one["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    found = [re.fullmatch(r"label_values\((\w+), (\w+)\)", query) for query in asked]
    return [(match[1], match[2]) for match in found if match]


def selectors(expression: Any, by: frozenset[str] = frozenset()) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that a parsed expression reads, with the labels by which it is selected or grouped."""
    if isinstance(expression, promql.AggregateExpr):
        labels = expression.modifier.labels if expression.modifier else []
        yield from selectors(expression.expr, by | set(labels))
    elif isinstance(expression, promql.Call):
        for argument in expression.args:
            yield from selectors(argument, by)
    elif isinstance(expression, promql.BinaryExpr):
        yield from (found for side in (expression.lhs, expression.rhs) for found in selectors(side, by))
    elif isinstance(expression, promql.ParenExpr):
        yield from selectors(expression.expr, by)
    elif isinstance(expression, promql.MatrixSelector):
        yield from selectors(expression.vector_selector, by)
    elif isinstance(expression, promql.VectorSelector):
        assert expression.name is not None, expression
        yield expression.name, set(by) | {matcher.name for matcher in expression.matchers.matchers}
    else:
        assert isinstance(expression, promql.NumberLiteral), expression


async def test_every_panel_asks_prometheus_for_series_that_are_there(emitted: Emitted) -> None:
    labels: dict[str, set[str]] = {}
    for name, inside in re.findall(r"^(layercode_\w+?)(?:\{([^}]*)\})? \S+$", emitted.scraped, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r"(\w+)=", inside))
    asked = [(name, {label}) for name, label in variables()]
    for expression in expressions():
        # Grafana puts the length of a step there.
        found = list(selectors(promql.parse(expression.replace("$__rate_interval", "5m"))))
        assert found, expression
        asked += found
    assert len(asked) > 25
    for name, wanted in asked:
        assert name in labels, f"{name} is not emitted"
        assert wanted <= labels[name], f"{name} has {labels[name]}, not {wanted}"


# --- Logfire: its SQL is that of PostgreSQL, except for a few aggregate functions of its own


RECORDS = """
CREATE TEMPORARY TABLE records (
    start_timestamp timestamptz, duration float8, trace_id text, span_name text, attributes jsonb
);
CREATE FUNCTION pg_temp.keep(state float8[], value float8, share float8) RETURNS float8[] LANGUAGE sql AS
$$ SELECT coalesce(state, ARRAY[share]) || CASE WHEN value IS NULL THEN '{}' ELSE ARRAY[value] END $$;
CREATE FUNCTION pg_temp.at_share(state float8[]) RETURNS float8 LANGUAGE sql AS
$$ SELECT percentile_cont(state[1]) WITHIN GROUP (ORDER BY value) FROM unnest(state[2:]) AS value $$;
CREATE AGGREGATE pg_temp.approx_percentile_cont(float8, float8) (
    sfunc = pg_temp.keep, stype = float8[], finalfunc = pg_temp.at_share
);
"""


def queries() -> dict[str, str]:
    """Return the SQL statements of `logfire.sql`. The key of each is the comment above it."""
    parts = re.findall(r"^-- (.*)\n((?:(?!--).*\n?)+)", (FOLDER / "logfire.sql").read_text(), re.MULTILINE)
    # PostgreSQL finds functions of the temporary schema only by their full name.
    return {
        name: sql.replace("approx_percentile_cont(", "pg_temp.approx_percentile_cont(")
        for name, sql in parts
        if sql.strip()
    }


@pytest.fixture(scope="module")
async def answers(emitted: Emitted, postgres_server: PostgresServer) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that each query finds among the spans that the server sent."""
    connection = await asyncpg.connect(postgres_server.url)
    try:
        await connection.execute(RECORDS)
        rows = [(span.seconds, span.trace_id, span.name, json.dumps(span.attributes)) for span in emitted.spans]
        await connection.executemany("INSERT INTO records VALUES (now(), $1, $2, $3, $4)", rows)
        return {name: [dict(row) for row in await connection.fetch(sql)] for name, sql in queries().items()}
    finally:
        await connection.close()


async def test_every_query_for_logfire_finds_something_in_every_column(
    answers: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(answers) == 7
    for name, rows in answers.items():
        assert rows, name
        empty = [column for column in rows[0] if all(row[column] in (None, "") for row in rows)]
        assert not empty, f"{name}: nothing in {empty}, {rows}"


async def test_the_queries_for_logfire_say_what_happened(answers: dict[str, list[dict[str, Any]]]) -> None:
    first, failed, tokens, tools, slowest, stages, refused = answers.values()
    assert {(row["agent"], row["interrupted"], row["turns"]) for row in first} == {
        ("observed", "false", 1),
        ("observed", "true", 1),
        ("priced", "false", 1),
    }
    assert [tuple(row.values()) for row in failed] == [("tool", "apology", 1)]
    assert {row["model"] for row in tokens} == {"function::play", "gpt-5-mini"}
    assert [(row["tool"], row["calls"]) for row in tools] == [("look_up", 2)]
    assert {row["turn"]: row["retries"] for row in slowest} == {"t1": "0", "t2": "0", "t3": "0", "t4": "1"}
    assert [(row["stage"], row["runs"], row["input_tokens"], row["output_tokens"]) for row in stages] == [
        ("plan", 1, 4000, 300)
    ]
    assert 0 < stages[0]["dollars"] < 1
    assert [(row["status"], row["path"], row["requests"]) for row in refused] == [("401", "/api/agent", 1)]
