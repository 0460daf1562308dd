"""A hand-over survives an interruption, a duplicate and kill -9 in its middle, on SQLite and on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.exceptions import DeliveryError

from ..calling import Caller
from ..journals import journal_url
from ..server_process import SECRET, ServerProcess, server_on
from .leaving import heard_until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(params=["sqlite", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_on(journal_url(request.param, request, tmp_path), tmp_path) as server:
        yield server


async def killed_after(server: ServerProcess, caller: Caller, text: str, turn_id: str, word: str) -> None:
    """Deliver `text`, and kill the server when the agent has said `word`.

    If `text` contains "slowly", wait also until the tool runs.
    """
    ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id, "turn_id": turn_id}
    async with caller.client.deliver({"type": "message", "text": text, **ids}) as answer:
        spoken, frames = "", answer.frames()
        while word not in spoken:
            spoken += str((await anext(frames)).payload.get("content", ""))
        async with asyncio.timeout(60):
            while "slowly" in text and not server.started:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(server.kill)
        with pytest.raises(DeliveryError):
            async for _ in frames:
                pass


async def test_a_hand_over_survives(server: ServerProcess, tmp_path: Path) -> None:
    name = tmp_path.name
    async with WebhookClient(f"{server.url}/api/agents/front", SECRET) as client:
        caller = Caller(client, f"{name}-a")
        # Kill the server while the tool runs, before the hand-over is in the journal. The call stays with the front
        # desk, and the tool does not run again.
        await killed_after(server, caller, "my invoice, slowly", "a1", "One moment.")
        await asyncio.to_thread(server.start)
        assert (await caller.say("my invoice, slowly", turn_id="a1")).types[-1] == "response.end"
        assert (await caller.say("hello", turn_id="a2")).spoken == "The front desk."

        # Kill the server while billing speaks. The call stays with billing.
        caller = Caller(client, f"{name}-b")
        await killed_after(server, caller, "my invoice", "b1", "This is")
        await asyncio.to_thread(server.start)
        assert (await caller.say("my invoice", turn_id="b1")).types[-1] == "response.end"
        twice = await asyncio.gather(*[caller.say("hello", turn_id="b2") for _ in range(2)])
        assert {reply.spoken for reply in twice} == {"This is billing, and I have your last invoice here."}

        # Interrupt the turn while billing speaks.
        caller = Caller(client, f"{name}-c")
        await heard_until(caller, "my invoice", "c1", "This")
        assert (await caller.say("hello", turn_id="c2")).spoken.startswith("This is billing")
