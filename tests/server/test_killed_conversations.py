"""If the worker of a call is killed with kill -9, the call goes on at another worker.

The agent's question still waits for its answer, an interrupted reply is continued, and no tool runs twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.exceptions import DeliveryError

from ..calling import Caller
from ..journals import journal_url
from ..served import TEXT
from ..server_process import SECRET, ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HEARD = "The tower was built"
CUT = {"interruption_context": {"previous_turn_interrupted": True, "text_heard": HEARD, "assistant_turn_id": "r1"}}


@pytest.fixture(params=["sqlite", "redis"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Two workers with one journal."""
    store = journal_url(request.param, request, tmp_path)
    started = [ServerProcess(store, tmp_path, LOG_LEVEL="WARNING", LAYERCODE_FILLER="off").start() for _ in range(2)]
    yield started
    for server in started:
        server.stop()


@asynccontextmanager
async def at(server: ServerProcess, conversation: str) -> AsyncIterator[tuple[Caller, Caller]]:
    """Yield two callers at this worker. The first talks to the agent "asker", the second to the agent "reader"."""
    async with AsyncExitStack() as stack:
        clients = [WebhookClient(f"{server.url}/api/agents/{name}", SECRET) for name in ("asker", "reader")]
        asker, reader = [await stack.enter_async_context(client) for client in clients]
        yield Caller(asker, f"{conversation}-asker"), Caller(reader, f"{conversation}-reader")


async def test_a_call_goes_on_at_another_worker_after_each_kill(servers: list[ServerProcess], tmp_path: Path) -> None:
    first, second = servers
    name = tmp_path.name
    async with at(first, name) as (asker, reader):
        assert (await asker.say("order", turn_id="a1")).spoken == "Shall I pay?"
        assert (await reader.say("read", turn_id="r1")).spoken == TEXT
    await asyncio.to_thread(first.kill)  # between the question and the answer

    async with at(second, name) as (asker, reader):
        resumed = await reader.say("mhm", turn_id="r2", **CUT)
        assert resumed.spoken == TEXT.removeprefix(f"{HEARD} ")
        assert second.paid == []
        paying = asyncio.create_task(asker.say("yes", turn_id="a2"))
        async with asyncio.timeout(100):
            while not second.paid:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(second.kill)  # in the tool
        with pytest.raises(DeliveryError):
            await paying

    await asyncio.to_thread(first.start)
    async with at(first, name) as (asker, reader):
        assert (await reader.say("mhm", turn_id="r2", **CUT)).spoken == resumed.spoken
        again = await asker.say("yes", turn_id="a2")
        assert again.spoken.startswith("Sorry"), "what may have been paid is not paid again"
        assert (await asker.say("yes", turn_id="a3")).spoken == "Fine."
        assert (await asker.say("order", turn_id="a4")).spoken == "Shall I pay?"
        assert (await asker.say("no", turn_id="a5")).spoken.startswith("It was The caller said no")
    assert len(first.paid) == 1
