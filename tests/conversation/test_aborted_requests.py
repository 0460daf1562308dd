"""An interruption ends the model's HTTP request: the model's server sees its streams close, and none stays open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic_ai import Agent

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent import open_calls

from ..calling import Caller, calling, settings
from ..model_server import ModelServer
from ..serving import serve
from ..thoroughness import times
from ..waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.repeated]

BATCHES, CALLERS = times(12), 25
IN_THE_MIDDLE = ModelServer(reply=lambda messages: "word " * 2_000, delay=0.1)
BEFORE_THE_FIRST_TOKEN = ModelServer(reply=lambda messages: "never", delay=600)


def sockets(*urls: httpx.URL) -> int:
    """Return how many connections this process has to or from these servers. Those of other tests do not count."""
    ports = {url.port for url in urls}
    connections = psutil.Process().net_connections("tcp")
    return sum(bool(ports & {getattr(end, "port", None) for end in (one.laddr, one.raddr)}) for one in connections)


async def interrupt(caller: Caller, model: ModelServer, name: str) -> None:
    """Start `CALLERS` phone calls at once, and hang them all up while the model's server answers them.

    Then wait until the server has no open stream.
    """
    heard: set[int] = set()

    async def listen(number: int) -> None:
        ids = {"conversation_id": f"{name}-{number}", "session_id": "s", "turn_id": "t"}
        async with caller.client.deliver({"type": "message", "text": "hello", **ids}) as answer:
            async for frame in answer.frames():
                if "word" in str(frame.content):
                    heard.add(number)

    listening = [asyncio.create_task(listen(number)) for number in range(CALLERS)]
    speaking = CALLERS if model is IN_THE_MIDDLE else 0
    await until(lambda: model.open_streams == CALLERS and len(heard) == speaking)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    await until(lambda: model.open_streams == 0)


@pytest.mark.parametrize("model", [IN_THE_MIDDLE, BEFORE_THE_FIRST_TOKEN], ids=["middle", "before"])
async def test_interruptions_end_the_models_requests(
    model: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    # During calls, a timer keeps an idle connection to the provider open. It would count as one that was left open.
    monkeypatch.setattr(open_calls, "LOOK_SECONDS", 3_600)
    async with serve(model.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        app = LayerCode(VoiceAgent("slow", Agent("openai-chat:gpt-test")), settings=settings(tmp_path))
        async with calling(app) as caller:
            await interrupt(caller, model, "warm-up")
            await until(lambda: not app.turns.running)
            tasks, open_sockets = len(asyncio.all_tasks()), sockets(httpx.URL(url), caller.client.url)
            assert open_sockets > 0
            for batch in range(BATCHES):
                await interrupt(caller, model, str(batch))
            await until(lambda: not app.turns.running)
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            await until(lambda: sockets(httpx.URL(url), caller.client.url) <= open_sockets)
            statuses = [record.status async for record in app.store.turns()]
    assert model.open_streams == 0
    assert len(model.requests) == len(statuses) == (BATCHES + 1) * CALLERS
    assert {*statuses} == {"interrupted"}
