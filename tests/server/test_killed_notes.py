"""The notes about a caller, and the tasks of a turn, survive a duplicate, an interruption and kill -9.

The server is killed within the turn and after it. The tests run on SQLite and on Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import WebhookClient

from ..calling import Caller
from ..journals import journal_url
from ..server_process import SECRET, ServerProcess, server_on
from .leaving import heard_until, killed_at

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIKES = "I like rye."
APOLOGY = "Sorry, I lost that."
LEASED_SECONDS = 150
"""A killed worker may have leased the job that writes the note. Its lease ends after a minute; then the job runs."""
UNKNOWN, ONCE = "I know that 0 times.", "I know that 1 times."


@pytest.fixture(params=["sqlite", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_on(journal_url(request.param, request, tmp_path), tmp_path) as server:
        yield server


async def known(client: WebhookClient, user: str) -> str:
    """Make phone calls until the agent knows the notes of an earlier call, and return its answer.

    Half a second later, make one more phone call. Fail if the answer is different.
    """
    said, numbers = UNKNOWN, count()
    async with asyncio.timeout(LEASED_SECONDS):
        while said == UNKNOWN:
            caller = Caller(client, f"{user}-again-{next(numbers)}")
            said = (await caller.say("Hello", metadata={"user": user})).spoken
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    later = (await Caller(client, f"{user}-later").say("Hello", metadata={"user": user})).spoken
    assert later == said
    return said


async def thanked(server: ServerProcess, times: int) -> None:
    """Wait until the tool's task has run `times` times. Fail if it runs again within half a second."""
    async with asyncio.timeout(LEASED_SECONDS):
        while thanks(server) < times:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    assert thanks(server) == times


def thanks(server: ServerProcess) -> int:
    return " ".join(server.started).count("thanks likes rye")


async def test_a_note_is_kept_once(server: ServerProcess, tmp_path: Path) -> None:
    async with WebhookClient(f"{server.url}/api/agents/knower", SECRET) as client:
        # Deliver one turn twice at the same time. Kill the server as soon as both deliveries have ended.
        user = f"{tmp_path.name}-killed"
        caller = Caller(client, user)
        twice = await asyncio.gather(*[caller.say(LIKES, turn_id="t1", metadata={"user": user}) for _ in range(2)])
        assert {reply.spoken for reply in twice} == {"I will remember that."}
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        assert await known(client, user) == ONCE
        await thanked(server, 1)

        # Kill the server during the turn, after the tool has ended. The tool does not run again; its note and its task
        # are kept.
        user = f"{tmp_path.name}-within"
        caller = Caller(client, user, "s")
        await killed_at(server, caller, LIKES, "t1", "I", metadata={"user": user})
        assert (await caller.say(LIKES, turn_id="t1", metadata={"user": user})).spoken == APOLOGY
        assert await known(client, user) == ONCE
        await thanked(server, 2)

        # Interrupt the turn after the note has been made, and begin a new call at once.
        user = f"{tmp_path.name}-interrupted"
        await heard_until(Caller(client, user, "s"), LIKES, "t1", "I", metadata={"user": user})
        assert await known(client, user) == ONCE
        await thanked(server, 3)
