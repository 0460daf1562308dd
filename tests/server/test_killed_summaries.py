"""If a worker is killed with kill -9 while it makes a summary, the summary is made again, on SQLite and on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import WebhookClient

from ..calling import Caller
from ..journals import journal_url
from ..server_process import SECRET, ServerProcess, server_on

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LONG = "I tell you something long, so that the history is soon full. " * 8


@pytest.fixture(params=["sqlite", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_on(journal_url(request.param, request, tmp_path), tmp_path, LAYERCODE_HISTORY_TOKENS="1000") as server:
        yield server


async def test_a_fact_is_kept(server: ServerProcess, tmp_path: Path) -> None:
    async with WebhookClient(f"{server.url}/api/agents/keeper", SECRET) as client:
        caller = Caller(client, tmp_path.name)
        await caller.say("My number is 4711.", turn_id="t0")
        turns = 0
        while not server.started:
            turns += 1
            twice = await asyncio.gather(*[caller.say(LONG, turn_id=f"t{turns}") for _ in range(2)])
            assert [reply.spoken for reply in twice] == ["Your number is 4711."] * 2
        await asyncio.to_thread(server.kill)  # during the summary
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(60):
            while len(server.started) < 2:
                await caller.say(LONG)
        await asyncio.sleep(1.5)  # the summary takes one second
        for _ in range(10):
            assert (await caller.say(LONG)).spoken == "Your number is 4711.", "the history alone has forgotten it"
            await asyncio.sleep(0.3)
