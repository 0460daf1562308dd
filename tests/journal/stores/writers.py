"""Functions that the tests of the stores run in separate processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

from layercode_app.journal.stores import create_store

from .records import add, begin, turn

SPAWN = multiprocessing.get_context("spawn")


def write_turns(url: str, name: str, count: int) -> None:
    """Write whole turns, ten at a time, some of them in a conversation that all writers share."""

    async def run() -> None:
        store = create_store(url)
        await store.open()
        for start in range(0, count, 10):
            numbers = range(start, start + 10)
            await asyncio.gather(*[add(store, turn(f"c-{name}", f"{name}-{number}")) for number in numbers])
            await add(store, turn("shared", f"{name}-{start}"))
            await store.save_state("shared", {f"{name}-{start}": True})
        await store.close()

    asyncio.run(run())


def begin_turns_and_hang(url: str, count: int, ready: str) -> None:
    """Begin turns, write the owner of these turns to the file `ready`, and wait to be killed."""

    async def run() -> None:
        store = create_store(url)
        await store.open()
        for number in range(count):
            await begin(store, turn(f"c{number}", "t"))
        Path(ready).write_text(store.owner)
        await asyncio.to_thread(time.sleep, 600)

    asyncio.run(run())


async def in_begun_turns(url: str, count: int, ready: Path) -> tuple[SpawnProcess, str]:
    """Start a process that begins `count` turns and ends none of them.

    Once all are begun, return the process and the owner of the turns.
    """
    writer = SPAWN.Process(target=begin_turns_and_hang, args=(url, count, str(ready)))
    writer.start()
    while not ready.exists() or not ready.read_text():
        assert writer.is_alive()
        await asyncio.sleep(0.02)
    return writer, ready.read_text()
