"""The warm-up loads everything that would delay the first turn. It leaves no trace in journal, logs or metrics."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models import infer_model
from pydantic_ai.models.fallback import FallbackModel

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent.models import models_of, single_models
from layercode_app.server.canned_models import stand_ins
from layercode_app.server.serve import _connect_models
from layercode_app.server.warmup import _turn

from ..calling import calling, settings
from ..model_server import ModelServer
from ..ports import free_port
from ..processes import clean_environment, command, listening
from ..serving import serve

CODE = """
import sys, time, asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
seen = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)
from pydantic_ai import Agent
Agent.instrument_all(True)
from layercode_app.server import warmup
times = []
for _ in range(2):
    begun = time.perf_counter()
    asyncio.run(warmup._turn())
    warmup._load_prices()
    times.append(time.perf_counter() - begun)
warmup.warm_up()
assert seen.get_finished_spans() == (), seen.get_finished_spans()
assert times[1] < times[0], times
print(times)
"""


@pytest.mark.slow
def test_a_second_turn_is_quicker_and_no_span_tells_of_either(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[")


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["openai:gpt-test", "openai-chat:gpt-test"])
async def test_the_models_own_class_plays_a_whole_turn_and_asks_nobody(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    real = infer_model(name)
    (stand_in,) = stand_ins([FallbackModel(real, infer_model(name)), real])
    assert type(stand_in) is type(real)
    async with asyncio.timeout(100):
        await _turn(stand_in)


def test_fallbacks_and_wrappers_are_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    one, two = infer_model("openai:one"), infer_model("openai-chat:two")
    voices = [VoiceAgent("a", Agent(FallbackModel(one, two))), VoiceAgent("b", Agent(one)), VoiceAgent("c")]
    assert list(single_models(models_of(voices))) == [one, two]


class Knocked:
    """A model server that records the method and the client's port of each request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self._app = ModelServer(reply=lambda messages: "Good day.").app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.seen.append((scope["method"], scope["client"][1]))
            assert scope["method"] == "POST" or b"authorization" not in dict(scope["headers"])
        await self._app(scope, receive, send)


@pytest.mark.anyio
async def test_the_first_call_finds_a_connection_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knocked = Knocked()
    async with serve(knocked) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        app = LayerCode(VoiceAgent("shop", Agent()), settings=settings(tmp_path), model="openai-chat:gpt-test")
        app.on_start.append(partial(_connect_models, app))
        async with calling(app) as caller:
            while not knocked.seen:
                await asyncio.sleep(0.01)
            assert (await caller.say("hello")).spoken == "Good day."
    (head, first), (post, second) = knocked.seen
    assert (head, post) == ("HEAD", "POST")
    assert first == second, "one connection for both"


@pytest.mark.anyio
async def test_run_knocks_at_the_model_and_says_nothing_of_it(tmp_path: Path) -> None:
    knocked, port = Knocked(), free_port()
    async with serve(knocked) as url:
        env = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "test-key", "LAYERCODE_WEBHOOK_SECRET": "test-secret"}
        options = ("--model", "openai:gpt-test", "--host", "127.0.0.1", "--port", str(port))
        async with command("run", *options, cwd=tmp_path, env=env) as process:
            await listening(f"http://127.0.0.1:{port}", process)
            while not knocked.seen:
                await asyncio.sleep(0.05)
    assert [method for method, _ in knocked.seen] == ["HEAD"] * len(knocked.seen), "no tokens"
    printed = (tmp_path / "output.txt").read_text()
    assert "HEAD" not in printed, printed
    assert "warm-up" not in printed, printed
