"""Two hundred conversations, in which each turn may reach a different host, while workers are killed and replaced.

This test runs only by hand, with `FLEET_CALLS=200 .venv/bin/python -m pytest tests/fleet`. Which workers it kills, and
when, depends on the machine.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.journal.record import TurnRecord
from layercode_app.journal.stores import create_store

from ..journals import SERVERS, journal_url
from .caller import Caller, Said
from .hosts import HOSTS, SECRET, Fleet, fleet

CALLS, TURNS = int(os.environ.get("FLEET_CALLS", "0")), 10
BY_HAND = pytest.mark.skipif(not CALLS, reason="runs only by hand: FLEET_CALLS=200 pytest tests/fleet")
pytestmark = [BY_HAND, pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(900)]
AT_ONCE = 15
KILL_SECONDS = 3.0


async def disturb(fleet: Fleet, chance: random.Random) -> int:
    """Kill a random worker every few seconds, and replace all workers once; return the number of kills."""
    kills, rolled = 0, False
    try:
        while True:
            await asyncio.sleep(KILL_SECONDS)
            kills += chance.choice(fleet.hosts).kill_a_worker(chance)
            if kills == 2 and not rolled:
                rolled = True
                for host in fleet.hosts:
                    host.replace_workers()
                    await asyncio.sleep(KILL_SECONDS)
    except asyncio.CancelledError:
        return kills


async def hold_calls(fleet: Fleet) -> list[Caller]:
    turns_at_once = asyncio.Semaphore(AT_ONCE)
    async with WebhookClient(f"{fleet.url}/api/agent", SECRET) as client:
        callers = [Caller(client, f"call-{number}", random.Random(number)) for number in range(CALLS)]

        async def hold(caller: Caller) -> None:
            async with turns_at_once:
                await caller.call(TURNS)

        await asyncio.gather(*(hold(caller) for caller in callers))
    return callers


@pytest.mark.parametrize("kind", SERVERS)
async def test_no_message_is_lost_and_no_tool_runs_twice(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = journal_url(kind, request, tmp_path)
    async with fleet(url, tmp_path) as hosts:
        disturbing = asyncio.create_task(disturb(hosts, random.Random(kind)))
        callers = await hold_calls(hosts)
        disturbing.cancel()
        kills = await disturbing
        store = create_store(url)
        await store.open()
        records = {caller.name: [turn async for turn in store.turns(conversation_id=caller.name)] for caller in callers}
        await store.close()

    assert max(Counter(hosts.booked()).values()) == 1, "no tool ran twice"
    assert min(hosts.connections) > CALLS * TURNS // (HOSTS + 1)
    assert kills > 1
    assert any(said.deliveries > 1 for caller in callers for said in caller.said), "a kill was felt"
    for caller in callers:
        turns = sorted(records[caller.name], key=lambda turn: turn.position)
        assert [turn.turn_id for turn in turns] == [said.turn_id for said in caller.said]
        for said, turn in zip(caller.said, turns, strict=True):
            judge(caller, said, turn, hosts.booked())


def judge(caller: Caller, said: Said, turn: TurnRecord, booked: list[str]) -> None:
    """Assert that the record is what the caller said and heard, and that the model knew every earlier message."""
    assert turn.user_text == said.text
    number = int(said.text.split()[-1])
    heard, spoken = " ".join((turn.before + turn.heard).split()), " ".join(said.spoken.split())
    # If the caller interrupted the turn, the next message tells the journal which words were heard. After the last turn
    # there is no next message.
    told = said.whole or said is not caller.said[-1]
    # If the turn was delivered again, `spoken` has only the words of the last attempt, but the journal has the words of
    # all attempts.
    if told or turn.finished:
        assert spoken in heard
    if told and not turn.before:
        assert heard == spoken
    if said.whole and not said.apologised:
        known = ",".join(str(earlier) for earlier in range(number + 1))
        assert said.spoken.startswith(f"I know {known}. ")
        assert said.spoken.endswith("five. ")
        assert (f"{caller.name} {said.turn_id}" in booked) == said.text.startswith("book")
