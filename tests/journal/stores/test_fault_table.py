"""While a store's server is at fault, callers hear what the table in docs/stores.md says, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.exceptions import LayerCodeError
from layercode_app.journal.stores import create_store, group_commit, postgres_link, redis_link
from layercode_app.settings.limits import Limits

from ...calling import Caller, calling, settings
from ...conversation.followed import Counter as Counting
from ...conversation.followed import heard_at_both
from ...postgres_server import PostgresServer
from ...redis_server import RedisServer
from .faults import faults_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DOCS = Path(__file__).parents[3] / "docs" / "stores.md"
PATIENCE = 100
LARGE = {"note": "m" * 50_000}
"""Metadata for which a full disk has no room."""
NOT_SEEN_BY_READY = [("SQLite", "is full")]
"""The faults that `/ready` does not notice.

`/ready` writes a small value to check the journal. If the disk is full, this value still fits into the last page of
SQLite's file.
"""
STORES = ("SQLite", "Redis", "PostgreSQL")


def table() -> dict[tuple[str, str], str]:
    """Return the table of docs/stores.md: what the caller hears, by store and fault."""
    rows = [line.strip("| ").split(" | ") for line in DOCS.read_text().splitlines() if line.startswith("| The store ")]
    found: dict[tuple[str, str], str] = {}
    for fault, *cells in rows:
        name = fault.removeprefix("The store ").partition(":")[0]
        found |= {(store, name): cell for store, cell in zip(STORES, cells, strict=True) if cell.startswith("the ")}
    return found


PROMISED = table()


def clerk(runs: Counter[str], go_on: asyncio.Event) -> VoiceAgent:
    """Return an agent that says which messages it knows, and counts the runs of each turn.

    If the message is "running", the agent waits for `go_on` in the middle of its answer.
    """
    voice = VoiceAgent("clerk", history=True)

    @voice.on_message
    async def answer(turn: Turn) -> AsyncIterator[str]:
        runs[turn.turn_id] += 1
        yield f"I know {' '.join(past.user_text for past in turn.past)}. "
        if turn.text == "running":
            await go_on.wait()
        yield "That is all."

    return voice


async def recovered(app_url: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(PATIENCE):
        while (await client.get(f"{app_url}/ready", timeout=PATIENCE)).status_code != 200:
            await asyncio.sleep(0.1)


async def ready(app_url: str) -> tuple[int, str]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{app_url}/ready", timeout=PATIENCE)
        return answer.status_code, answer.text


@pytest.mark.parametrize(("kind", "fault"), PROMISED, ids=lambda part: part)
async def test_the_caller_hears_what_the_docs_say(
    kind: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, go_on = Counter[str](), asyncio.Event()
    async with faults_of(kind, fault, tmp_path) as faults:
        app = LayerCode(clerk(runs, go_on), settings=settings(tmp_path, store=faults.url))
        async with calling(app) as caller:
            url = str(caller.client.url.join("/")).rstrip("/")
            faults.store = app.store
            assert (await caller.say("before", turn_id="before")).spoken == "I know . That is all."
            running = asyncio.create_task(Caller(caller.client, "other").say("running", turn_id="running"))
            while not runs["running"]:
                await asyncio.sleep(0.01)

            with monkeypatch.context() as hurry:
                if fault != "answers slowly":
                    for module in (postgres_link, redis_link):
                        hurry.setattr(module, "ANSWER_SECONDS", 0.5)
                hurry.setattr(group_commit, "BUSY_SECONDS", 0.5)
                await faults.begin(fault)
                go_on.set()
                assert (await running).spoken == "I know . That is all."
                said = (await caller.say("during", turn_id="during", metadata=LARGE)).spoken
                status, told = await ready(url)
                await faults.end(fault)

            expected = {"the answer": "I know before. That is all.", "the apology": Limits().apology}
            assert said == expected[PROMISED[kind, fault]]
            seen = "apology" in PROMISED[kind, fault] and (kind, fault) not in NOT_SEEN_BY_READY
            assert (status, "journal" in told) == (503 if seen else 200, True)
            await recovered(url)
            assert (
                await caller.say("during", turn_id="during", metadata=LARGE)
            ).spoken == "I know before. That is all."
            assert (await caller.say("after", turn_id="after")).spoken == "I know before during. That is all."
            other = Caller(caller.client, "other")
            assert (await other.say("next", turn_id="next")).spoken == "I know running. That is all."
    assert runs == Counter(["before", "running", "during", "after", "next"])


@pytest.mark.parametrize("kind", ["Redis", "PostgreSQL"])
async def test_a_wrong_password_is_named_at_the_start_and_not_shown(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "Redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        url = f"redis://:test-wrong@127.0.0.1:{redis.port}/0"
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        url = f"postgresql://nobody:test-wrong@127.0.0.1:{postgres.port}/postgres"
    store = create_store(url)
    with pytest.raises(LayerCodeError) as refused:
        await store.open()
    assert "127.0.0.1" in str(refused.value)
    assert "test-wrong" not in str(refused.value)


@pytest.mark.parametrize("kind", ["Redis", "PostgreSQL"])
async def test_a_caller_on_another_worker_hears_the_apology_while_the_store_is_full(kind: str, tmp_path: Path) -> None:
    async with faults_of(kind, "is full", tmp_path) as faults:
        counter = Counting(tmp_path, store=faults.url)
        async with heard_at_both(counter) as (first, second):
            await faults.begin("is full")
            counter.numbers.put_nowait("2 ")
            await asyncio.wait_for(second.task, PATIENCE)
            assert second.words == ["1 ", "Sorry!"]
            await first.until("1 ", "2 ")
            await faults.end("is full")
