"""Real processes share one journal and lose nothing, also when one of them is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from layercode_app.journal.record import Status

from .conftest import Open
from .records import begin, turn
from .writers import SPAWN, in_begun_turns, write_turns

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_processes_that_write_at_once_lose_nothing(shared_url: str, worker: Open) -> None:
    names = ["a", "b", "c"]
    writers = [SPAWN.Process(target=write_turns, args=(shared_url, name, 200)) for name in names]
    for writer in writers:
        writer.start()
    store = await worker()
    for writer in writers:
        await asyncio.to_thread(writer.join, 60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]

    records = [record async for record in store.turns()]
    assert {record.turn_id for record in records if record.conversation_id != "shared"} == {
        f"{name}-{number}" for name in names for number in range(200)
    }
    assert {record.status for record in records} == {Status.COMPLETE}
    shared = {f"{name}-{start}" for name in names for start in range(0, 200, 10)}
    assert {record.turn_id for record in records if record.conversation_id == "shared"} == shared
    assert set((await store.conversation("shared")).state) == shared


async def test_what_a_killed_process_had_begun_is_there_and_can_be_taken_over(
    shared_url: str, worker: Open, tmp_path: Path
) -> None:
    writer, owner = await in_begun_turns(shared_url, 50, tmp_path / "ready")
    store = await worker()
    assert await store.alive(owner)
    writer.kill()
    await asyncio.to_thread(writer.join)

    async with asyncio.timeout(100):
        while await store.alive(owner):
            await asyncio.sleep(0.05)
    for number in range(50):
        begun = await begin(store, turn(f"c{number}", "t"))
        assert (begun.outcome, begun.record.owner) == ("running", owner)
        assert await store.claim(begun.record)
