"""A call with stages and slow work survives an interruption, a duplicate and kill -9, on SQLite and on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import WebhookClient

from ..calling import Caller
from ..journals import journal_url
from ..server_process import SECRET, ServerProcess, server_on
from .leaving import heard_until, killed_at

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NAME, DAY, DONE = "I have taken down the name", "I have taken down the day", "All is taken down."


@pytest.fixture(params=["sqlite", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_on(journal_url(request.param, request, tmp_path), tmp_path) as server:
        yield server


async def test_a_stage_and_slow_work_survive(server: ServerProcess, tmp_path: Path) -> None:
    async with WebhookClient(f"{server.url}/api/agents/clerk", SECRET) as client:
        # Kill the server while the slow tool runs and fillers are spoken. The tool does not run again, and the stage
        # does not change.
        caller = Caller(client, f"{tmp_path.name}-a")
        await killed_at(server, caller, "Ann, slowly", "a1", "Still writing.")
        twice = await asyncio.gather(*[caller.say("Ann, slowly", turn_id="a1") for _ in range(2)])
        assert {reply.spoken.split()[-1] for reply in twice} == {"Sorry."}
        assert NAME in (await caller.say("Ann", turn_id="a2")).spoken

        # Kill the server after the tool has run, while the agent speaks. The tool does not run again, and the call is
        # in the next stage.
        await killed_at(server, caller, "Friday", "a3", "taken down")
        twice = await asyncio.gather(*[caller.say("Friday", turn_id="a3") for _ in range(2)])
        assert {reply.spoken.split()[-1] for reply in twice} == {"Sorry."}
        assert (await caller.say("Thanks", turn_id="a4")).spoken.endswith(DONE)
        assert sorted(server.started) == [f"{caller.conversation_id}-{turn}" for turn in ("a1", "a2", "a3")]

        # Interrupt the turn after the tool has run, while the agent speaks.
        caller = Caller(client, f"{tmp_path.name}-b")
        assert NAME.split()[0] in await heard_until(caller, "Ann", "b1", "I have")
        assert DAY in (await caller.say("Friday", turn_id="b2")).spoken

        # Interrupt the turn while the slow tool runs. The tool has not saved a name, so the stage does not change.
        caller = Caller(client, f"{tmp_path.name}-c")
        assert "Still writing." in await heard_until(caller, "Ann, slowly", "c1", "Still writing.")
        assert NAME in (await caller.say("Ann", turn_id="c2")).spoken
