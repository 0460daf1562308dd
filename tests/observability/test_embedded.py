"""Embedded in a user's app, LayerCode prints nothing while all is well, and leaves metrics and spans to the host."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from layercode_app.emulator.webhooks import WebhookClient

from ..ports import free_port
from ..processes import clean_environment, listening
from .collectors import collecting

pytestmark = pytest.mark.anyio

SECRET = "test-secret"
HOST = """
import asyncio
import sys
import threading

import uvicorn
from fastapi import FastAPI
from loguru import logger
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from layercode_app import LayerCode, Turn, VoiceAgent

agent = VoiceAgent("host")


@agent.on_message
async def answer(turn: Turn) -> str:
    if "fail" in turn.text:
        raise RuntimeError("no luck")
    return "Hello."


if "chatty" in sys.argv:
    logger.enable("layercode_app")
if "traced" in sys.argv:
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

app = FastAPI()


@app.get("/hooks")
async def hooks() -> list[bool]:
    handler = asyncio.get_running_loop().get_exception_handler()
    return [threading.excepthook is threading.__excepthook__, sys.unraisablehook is sys.__unraisablehook__, not handler]


app.mount("/voice", LayerCode(agent, metrics="measured" in sys.argv))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


@asynccontextmanager
async def hosting(folder: Path, *options: str, **env: str) -> AsyncIterator[str]:
    """Start the host's process, yield its URL, and stop the process with SIGTERM at the end.

    The process writes its output to output.txt.
    """
    (folder / "host.py").write_text(HOST)
    port = free_port()
    with (folder / "output.txt").open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "host.py", str(port), *options, cwd=folder, stdout=file, stderr=file,
            env=clean_environment(LAYERCODE_WEBHOOK_SECRET=SECRET, **env),
        )  # fmt: skip
    try:
        await listening(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        await asyncio.wait_for(process.wait(), 100)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def say(url: str, text: str, turn: str) -> str:
    event = {"type": "message", "text": text, "turn_id": turn, "session_id": "s", "conversation_id": "c"}
    async with WebhookClient(url + "/voice/api/agent", SECRET) as client, client.deliver(event) as answer:
        return "".join([frame.content async for frame in answer.frames() if frame.type == "response.tts"])


async def test_a_host_sees_nothing_of_ours_while_all_is_well_and_then_what_went_wrong(tmp_path: Path) -> None:
    async with hosting(tmp_path) as url, httpx.AsyncClient() as http:
        assert await say(url, "hello", "t1") == "Hello."
        assert (await http.get(url + "/voice/nowhere")).status_code == 404
        assert (await http.get(url + "/voice/metrics")).status_code == 404
        assert (await http.get(url + "/hooks")).json() == [True, True, True]
        assert (tmp_path / "output.txt").read_text() == ""
        assert "Sorry" in await say(url, "fail", "t2")
    printed = (tmp_path / "output.txt").read_text()
    assert "The turn failed: internal" in printed
    assert {line[26:34].strip() for line in printed.splitlines() if re.match(r"\d{4}-", line)} == {"ERROR"}


@pytest.mark.slow
async def test_a_host_that_asks_for_them_sees_the_lines_of_turns_and_requests(tmp_path: Path) -> None:
    async with hosting(tmp_path, "chatty") as url:
        await say(url, "hello", "t1")
    printed = (tmp_path / "output.txt").read_text()
    assert "turn complete in" in printed
    assert "DEBUG" not in printed


@pytest.mark.slow
async def test_metrics_are_kept_where_they_are_asked_for_and_the_hosts_own_are_left_alone(tmp_path: Path) -> None:
    def turns() -> list[str]:
        return [span.name for span in collector.spans() if span.name.startswith("turn ")]

    with collecting() as collector:
        often = {"OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **often}
        async with hosting(tmp_path, "measured", "traced", **env) as url, httpx.AsyncClient() as http:
            await say(url, "hello", "t1")
            await say(url, "fail", "t2")
            scraped = (await http.get(url + "/voice/metrics")).text
            await asyncio.to_thread(collector.wait_for, lambda: collector.metrics().get("layercode.turn.ttfs") == 1)
            await asyncio.to_thread(collector.wait_for, lambda: len(turns()) == 2)
    assert 'layercode_turns_total{agent="host",kind="message",status="complete"} 1.0' in scraped
    assert 'layercode_turn_ttfs_seconds_count{agent="host"} 1.0' in scraped
    assert not (tmp_path / ".layercode" / "metrics").exists()
    assert collector.metrics()["layercode.turns"] == 2
    assert turns() == ["turn host", "turn host"]
