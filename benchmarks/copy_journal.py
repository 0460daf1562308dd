"""Copy a journal from SQLite to PostgreSQL to Redis and back to SQLite. Kill each copy half way, then run it again.

    python -m benchmarks.copy_journal [--turns 100000]

Each copy is the command `journal copy` in a separate process. It is killed with kill -9 when the target has half of the
turns. The command is then run again, and compares its copy with the source. In the end, this benchmark compares the
last journal with the first one: all turns with their messages and frames, the state of all conversations, totals and
jobs. Needs PostgreSQL and redis-server.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loguru import logger

from layercode_app.journal.record_json import dump_frames, dump_head
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Job, Store
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer

from .stores import fill

LOOK_SECONDS = 0.2


async def fill_source(url: str, turns: int) -> None:
    """Fill a journal with turns, a state for every tenth conversation, totals, and jobs that are not due yet."""
    store = create_store(url)
    await store.open()
    await fill(store, turns, 50)
    for number, found in enumerate(await store.conversations(limit=turns)):
        if number % 10 == 0:
            await store.save_state(found.conversation_id, {"basket": {"croissant": number}, "name": f"Jörg {number}"})
    await store.add_totals("spent:2026-11", {"usd": 12.5})
    for number in range(100):
        await store.enqueue(Job(f"job-{number}", "mail", "a", {"to": number}, "c", due_at=time.time() + 86_400))
    await store.close()


def copy(source: str, target: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        "from layercode_app.cli.main import main; main()",
        "journal",
        "copy",
        source,
        target,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


async def half_way(process: subprocess.Popen[bytes], target: str, turns: int) -> int:
    """Wait until the target has half of the turns, or the copy has ended; return the number of turns in the target."""
    store = create_store(target)
    await store.open()
    while (found := (await store.size()).turns) < turns / 2 and process.poll() is None:
        await asyncio.sleep(LOOK_SECONDS)
    await store.close()
    return found


async def copy_killed_half_way(source: str, target: str, turns: int) -> str:
    """Kill a copy half way, and run it again. Return the line to print. Raises SystemExit if the second run fails."""
    began = time.perf_counter()
    first = copy(source, target)
    found = await half_way(first, target, turns)
    first.kill()
    first.communicate()
    killed, again = time.perf_counter() - began, time.perf_counter()
    second = copy(source, target)
    printed, _ = await asyncio.to_thread(second.communicate)
    if second.returncode:
        raise SystemExit(printed.decode())
    name = target.partition(":")[0]
    return f"to {name:>10}: killed with {found:,} turns after {killed:.0f} s, done {time.perf_counter() - again:.0f} s later"


async def contents(store: Store) -> tuple[dict[str, list[Any]], dict[str, Any], Any, Any]:
    """Return all that a journal holds, without the positions and owners of turns, which are specific to each store."""
    turns: dict[str, list[Any]] = {}
    async for record in store.turns():
        record.position, record.owner, record.attempt, record.history_start = 0, "", 0, 0
        whole = (record.turn_id, record.status, dump_head(record), bytes(record.messages), bytes(dump_frames(record)))
        turns.setdefault(record.conversation_id, []).append(whole)
    states = {name: (await store.conversation(name)).state for name in await store.established()}
    jobs = sorted((job.id, job.name, job.agent, job.payload) for job in await store.pending_jobs())
    return turns, states, await store.totals(""), jobs


async def is_equal(first: str, last: str) -> bool:
    """Return whether two journals have the same contents. Print the number of turns, states, totals and jobs."""
    found = []
    for url in (first, last):
        store = create_store(url)
        await store.open()
        found.append(await contents(store))
        await store.close()
    turns, states, totals, jobs = found[0]
    count = sum(map(len, turns.values()))
    print(f"compared: {count:,} turns, {len(states):,} states, {len(totals)} totals, {len(jobs)} jobs")
    return found[0] == found[1]


async def around(folder: Path, turns: int, postgres: str, redis: str) -> bool:
    """Copy a journal from store to store and back to SQLite. Return whether the last copy equals the original."""
    first, last = f"sqlite:///{folder}/first.sqlite3", f"sqlite:///{folder}/last.sqlite3"
    await fill_source(first, turns)
    for source, target in ((first, postgres), (postgres, redis), (redis, last)):
        print(await copy_killed_half_way(source, target, turns))
    return await is_equal(first, last)


def main() -> int:
    """Print the figures. Return 1 if the last copy differs from the original, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=100_000, help="number of turns in the journal to copy")
    turns = parser.parse_args().turns
    logger.remove()
    with tempfile.TemporaryDirectory() as name:
        server, redis = PostgresServer(durable=True), RedisServer(Path(name) / "redis", cluster=False)
        server.start()
        try:
            redis.start()
            same = asyncio.run(around(Path(name), turns, server.url, redis.url))
        finally:
            server.stop()
            redis.kill()
    print("the journal came back as it was" if same else "the journal changed on its way")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
