"""Each browser WebSocket is one span.

The test runs in a separate process, because a process can set its tracer provider only once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import asyncio, json
import httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from websockets.asyncio.client import connect
from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.app import create_emulator
from tests.serving import serve

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)


async def main():
    app = create_emulator("http://127.0.0.1:9/", "test-secret", agents=[AgentSpec("a", "http://127.0.0.1:9/", "test-secret")])
    async with serve(app) as url, httpx.AsyncClient() as http:
        asked = {"agent_id": "a"}
        headers = {"authorization": "Bearer test-key"}
        answer = await http.post(f"{url}/v1/agents/web/authorize_session", json=asked, headers=headers)
        key = answer.json()["client_session_key"]
        address = f"{url.replace('http', 'ws')}/v1/agents/web/websocket?client_session_key={key}"
        async with connect(address) as socket:
            await socket.send(json.dumps({"type": "client.ready"}))
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.2)
        await app.state.emulator.aclose()
    print(json.dumps([[span.name, span.attributes["gen_ai.conversation.id"]] for span in exporter.get_finished_spans()]))
    assert answer.json()["conversation_id"] == exporter.get_finished_spans()[0].attributes["gen_ai.conversation.id"]


asyncio.run(main())
"""


def test_a_browser_socket_is_one_span_with_its_conversation() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=100, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    spans = json.loads(done.stdout.splitlines()[-1])
    assert [name for name, _ in spans] == ["websocket"]
