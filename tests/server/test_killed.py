"""After kill -9 of a server during two hundred calls, no caller's words are lost, and no tool runs twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import Received, WebhookClient
from layercode_app.exceptions import DeliveryError
from layercode_app.journal.record import Status
from layercode_app.journal.stores import create_store

from ..calling import Caller, Reply
from ..journals import SERVERS, journal_url
from ..server_process import SECRET, ServerProcess
from ..waiting import until

pytestmark = pytest.mark.anyio

CALLS = 200
SLOW_ELSEWHERE = ["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in SERVERS)]
APOLOGY = "Sorry, the test apologises."


@pytest.fixture(params=SLOW_ELSEWHERE)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty journal that several workers share."""
    return journal_url(request.param, request, tmp_path)


@pytest.fixture
def server(store_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(store_url, tmp_path, LAYERCODE_APOLOGY=APOLOGY, LOG_LEVEL="WARNING").start()
    yield server
    server.stop()


async def begun_turns(store_url: str) -> dict[str, list[str]]:
    """For each conversation id in the journal, return the names of the tools that its only turn has called."""
    store = create_store(store_url)
    await store.open()
    found = {turn.conversation_id: [call.name for call in turn.tools] async for turn in store.turns()}
    await store.close()
    return found


async def listen(caller: Caller, heard: set[str]) -> None:
    event = {"type": "message", "text": f"my name is {caller.conversation_id}", "turn_id": "t1"}
    ids = {"conversation_id": caller.conversation_id, "session_id": "s1"}
    async with caller.client.deliver(event | ids) as answer:
        async for _ in answer.frames():
            heard.add(caller.conversation_id)


@pytest.mark.slow
async def test_a_killed_server_forgets_no_message_and_pays_nothing_twice(server: ServerProcess, store_url: str) -> None:
    async with (
        WebhookClient(f"{server.url}/api/agents/payer", SECRET) as payer,
        WebhookClient(f"{server.url}/api/agents/talker", SECRET) as talker,
    ):
        callers = [Caller(payer, f"c{number}") for number in range(CALLS)]
        heard: set[str] = set()
        calls = [asyncio.create_task(listen(caller, heard)) for caller in callers]
        # Kill the server when the tool has paid for some callers, but not yet for all.
        async with asyncio.timeout(100):
            while len(server.paid) < CALLS // 3:
                await asyncio.sleep(0.02)
        await asyncio.to_thread(server.kill)
        broken = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in broken} == {DeliveryError}
        assert len(server.paid) < CALLS
        paid_before = set(server.paid)

        begun = await begun_turns(store_url)
        # A tool call is in the journal before the tool runs. So each conversation in `paid_before` has a tool call there.
        called = {name for name, tools in begun.items() if tools}
        assert paid_before <= called
        assert heard <= begun.keys()
        assert len(heard) > CALLS // 2

        await asyncio.to_thread(server.start)
        # The platform delivers half of the turns again; the other half of the callers says something new.
        again, onwards = callers[::2], [Caller(talker, caller.conversation_id) for caller in callers[1::2]]
        assert {caller.conversation_id in called for caller in again} == {True, False}
        await asyncio.gather(*[redeliver(caller, called) for caller in again])
        replies = await asyncio.gather(*[caller.say("who am I?") for caller in onwards])

    for caller, reply in zip(onwards, replies, strict=True):
        if caller.conversation_id in begun:
            assert reply.spoken == f"my name is {caller.conversation_id} who am I?"
    counted = Counter(server.paid)
    assert max(counted.values()) == 1
    assert await statuses(store_url, [c.conversation_id for c in onwards if c.conversation_id in begun]) == {
        Status.FAILED,
        Status.COMPLETE,
    }


async def redeliver(caller: Caller, called: set[str]) -> None:
    """Deliver the caller's first message again.

    If the tool of the turn was called before, the turn must end with the apology instead of a second run.
    """
    reply: Reply = await caller.say(f"my name is {caller.conversation_id}", turn_id="t1")
    assert reply.types[-1] == "response.end"
    if caller.conversation_id in called:
        assert reply.spoken.endswith(APOLOGY)
    else:
        assert reply.spoken.startswith("One moment. ")
        assert reply.spoken.endswith("39 ")


async def statuses(store_url: str, names: list[str]) -> set[Status]:
    store = create_store(store_url)
    await store.open()
    found = {turn.status for name in names async for turn in store.turns(conversation_id=name)}
    await store.close()
    return found


async def test_of_two_who_follow_a_turn_whose_worker_dies_one_runs_it_again(store_url: str, tmp_path: Path) -> None:
    servers = [ServerProcess(store_url, tmp_path).start() for _ in range(3)]
    try:
        async with AsyncExitStack() as stack:
            clients = [WebhookClient(f"{server.url}/api/agents/talker", SECRET) for server in servers]
            callers = [Caller(await stack.enter_async_context(client), "c") for client in clients]
            first = asyncio.create_task(callers[0].say("wait", turn_id="t"))
            async with asyncio.timeout(100):
                while not servers[0].started:
                    await asyncio.sleep(0.01)
            others = [asyncio.create_task(caller.say("wait", turn_id="t")) for caller in (*callers[1:], *callers[1:])]
            await asyncio.sleep(0.3)
            servers[0].kill()
            replies = await asyncio.wait_for(asyncio.gather(*others), 100)
            with pytest.raises(DeliveryError):
                await first
        assert [reply.spoken for reply in replies] == ["I waited."] * 4
        assert sorted(len(server.started) for server in servers) == [0, 1, 1]
    finally:
        for server in servers:
            server.stop()


@pytest.mark.slow
async def test_who_follows_a_turn_whose_worker_dies_hears_the_whole_answer(store_url: str, tmp_path: Path) -> None:
    servers = [ServerProcess(store_url, tmp_path).start() for _ in range(2)]
    try:
        async with AsyncExitStack() as stack:
            clients = [WebhookClient(f"{server.url}/api/agents/talker", SECRET) for server in servers]
            callers = [Caller(await stack.enter_async_context(client), "c") for client in clients]
            begun: list[Received] = []
            first = asyncio.create_task(hear(callers[0], begun))
            # Wait until the first worker has begun the turn. Otherwise the second worker might run it.
            await until(lambda: begun)
            heard: list[Received] = []
            follower = asyncio.create_task(hear(callers[1], heard))
            await until(lambda: len(heard) > 2)
            servers[0].kill()
            await asyncio.wait_for(follower, 100)
            with pytest.raises(DeliveryError):
                await first
        words = [frame.content for frame in heard if frame.type == "response.tts"]
        again = words.index("0 ", 1)
        assert words[:again] == [f"{number} " for number in range(again)]
        assert words[again:] == [f"{number} " for number in range(100)]
        assert [frame.type for frame in heard[-2:]] == ["response.tts", "response.end"]
    finally:
        for server in servers:
            server.stop()


async def hear(caller: Caller, heard: list[Received]) -> None:
    event = {"type": "message", "text": "say 100", "turn_id": "t"}
    ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id}
    async with caller.client.deliver(event | ids) as answer:
        async for frame in answer.frames():
            heard.append(frame)  # noqa: PERF401 - the test looks at them meanwhile
