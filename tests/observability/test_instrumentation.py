"""An agent's Redis and SQL calls become spans below the turn. These spans contain no content.

The tests use the real instrumentation packages.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceState, use_span

from layercode_app.observability.instrument import _Propagate

from ..postgres_server import PostgresServer
from ..processes import clean_environment
from ..redis_server import RedisServer
from .collectors import SeenSpan, collecting
from .observed import Observed, observed

pytestmark = pytest.mark.anyio

STORES = """
import asyncpg
import redis.asyncio
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from layercode_app import Turn, VoiceAgent

engine = create_engine("sqlite:///:memory:")
later = create_async_engine("sqlite+aiosqlite:///:memory:")


async def play(messages: list[ModelMessage], info: AgentInfo):
    if messages[-1].parts[-1].part_kind == "tool-return":
        yield "Done."
    else:
        yield {1: DeltaToolCall(name=messages[-1].parts[-1].content.split()[0], json_args="{}", tool_call_id="c1")}


model = Agent(FunctionModel(stream_function=play), deps_type=Turn)
agent = VoiceAgent("stores", model)


@model.tool
async def sql(ctx: RunContext[Turn]) -> str:
    with engine.connect() as connection:
        connection.execute(text("SELECT :what AS what"), {"what": ctx.deps.text})
        connection.execute(text(f"SELECT '{ctx.deps.text}' AS what"))
    async with later.connect() as connection:
        await connection.execute(text("SELECT :what AS later"), {"what": ctx.deps.text})
    return "read"


@model.tool
async def cache(ctx: RunContext[Turn]) -> str:
    async with redis.asyncio.Redis.from_url(ctx.deps.metadata["url"]) as client:
        await client.set("greeting", ctx.deps.text)
        async with client.pipeline() as several:
            await several.get("greeting").delete("greeting").execute()
    return "kept"


@model.tool
async def postgres(ctx: RunContext[Turn]) -> str:
    connection = await asyncpg.connect(ctx.deps.metadata["url"])
    try:
        await connection.fetch("SELECT $1::text AS what", ctx.deps.text)
        await connection.execute(f"SELECT $tag${ctx.deps.text}$tag$, '{ctx.deps.text}'")
    finally:
        await connection.close()
    return "asked"
"""


async def asked(server: Observed, tool: str, **metadata: str) -> None:
    frames = await server.say(f"{tool} the marzipan", turn=tool, metadata=metadata)
    assert "".join(frame.content or "" for frame in frames) == "Done.", frames


def below(spans: list[SeenSpan], name: str) -> list[tuple[str, str, str]]:
    """Return the name, system and statement of each database span below a span, in order."""
    (parent,) = [span for span in spans if span.name == name]
    inside = [span for span in spans if span.parent_id == parent.span_id and "db.system" in span.attributes]
    assert {span.trace_id for span in inside} == {parent.trace_id}
    assert {span.attributes["gen_ai.conversation.id"] for span in inside} == {"conv-1"}
    return [(span.name, span.attributes["db.system"], span.attributes.get("db.statement", "")) for span in inside]


async def test_sqlalchemy_and_redis_are_traced_below_the_turn_without_values(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.clear()
    with collecting() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LAYERCODE_STORE": redis_server.url}
        async with observed(tmp_path, agent=STORES, name="stores", **env) as server:
            await asked(server, "sql")
            await asked(server, "cache", url=redis_server.url)
            await server.stop()
            assert "is not traced" not in server.printed
    spans = collector.spans()
    # Leave out the Redis spans. They belong to the journal, which saves the tool call before the tool runs.
    assert [span for span in below(spans, "execute_tool sql") if span[1] != "redis"] == [
        ("connect", "sqlite", ""),
        ("SELECT :memory:", "sqlite", "SELECT ? AS what"),
        ("SELECT :memory:", "sqlite", "SELECT ? AS what"),
        ("connect", "sqlite", ""),
        ("SELECT :memory:", "sqlite", "SELECT ? AS later"),
    ]
    # The client sends a script's digest. If Redis does not know the script yet, the client sends its text, too.
    kept = [span for span in below(spans, "execute_tool cache") if span[0] not in ("EVALSHA", "EVAL")]
    assert kept == [("SET", "redis", "SET ? ?"), ("GET DEL", "redis", "GET ?\nDEL ?")]
    turns = [span for span in spans if span.name == "turn stores"]
    assert len(turns) == 2
    for turn in turns:
        assert len([span for span in spans if span.trace_id == turn.trace_id]) < 50
    # Jobs that run every second have no spans: these would cost more than the spans of the turns.
    roots = {span.name for span in spans if not span.parent_id}
    assert roots <= {"turn stores", "alerts", "retention", "DEL"}, roots
    assert b"marzipan" not in collector.raw


@pytest.mark.slow
async def test_asyncpg_is_traced_below_the_turn_without_values(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with collecting() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with observed(tmp_path, agent=STORES, name="stores", **env) as server:
            await asked(server, "postgres", url=postgres_server.url)
            await server.stop()
    found = below(collector.spans(), "execute_tool postgres")
    assert [(system, statement) for _, system, statement in found] == [
        ("postgresql", "SELECT $1::text AS what"),
        ("postgresql", "SELECT ?, ?"),
    ]
    assert b"marzipan" not in collector.raw


def test_a_redirect_takes_the_trace_only_to_listed_hosts() -> None:
    seen: list[tuple[str, str | None, str | None]] = []
    path = {"listed": "http://also-listed", "also-listed": "http://other", "other": "http://listed/end"}

    def answer(request: httpx.Request) -> httpx.Response:
        host = request.url.host
        seen.append((host, request.headers.get("traceparent"), request.headers.get("tracestate")))
        return httpx.Response(200 if request.url.path == "/end" else 307, headers={"location": path[host]})

    propagate = _Propagate(["listed", "also-listed"])
    hooks = {"request": [lambda request: propagate(None, request)]}
    trace_state = TraceState([("vendor", "x")])
    span = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_state=trace_state))
    with httpx.Client(transport=httpx.MockTransport(answer), event_hooks=hooks, follow_redirects=True) as client:
        with use_span(span):
            client.get("http://listed")
        client.get("http://other", headers={"traceparent": "own"})
    trace = f"00-{1:032x}-{2:016x}-00"
    assert seen == [
        ("listed", trace, "vendor=x"), ("also-listed", trace, "vendor=x"), ("other", None, None),
        ("listed", trace, "vendor=x"), ("other", "own", None), ("listed", "own", None),
    ]  # fmt: skip


ABSENT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith({absent!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

import importlib.util
whole = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name.startswith({absent!r}) else whole(name, *more)
sys.meta_path.insert(0, Absent())
from layercode_app.observability.instrument import instrument
instrument()
import httpx
print(type(httpx.AsyncHTTPTransport.handle_async_request).__name__, {{name for name in sys.modules if name in {absent!r}}})
"""


@pytest.mark.parametrize(
    "absent",
    [
        ("redis", "sqlalchemy", "asyncpg"),
        tuple(f"opentelemetry.instrumentation.{name}" for name in ("redis", "sqlalchemy", "asyncpg")),
    ],
    ids=["libraries", "instrumentations"],
)
@pytest.mark.slow
def test_what_is_not_installed_is_left_out_in_silence(absent: tuple[str, ...]) -> None:
    code = ABSENT.format(absent=absent)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, env=clean_environment()
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.split() == ["BoundFunctionWrapper", "set()"], done.stdout
