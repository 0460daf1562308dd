"""Measure a large PostgreSQL journal: the cost of a turn, the cost of a report, and the effect of a database 2 ms away.

    python -m benchmarks.large_journal [--turns 1000000]

The journal is filled by SQL with copies of 2,000 turns, spread evenly over the last 70 days, so a tenth of them is from
the last 7 days. One run measures:

- the CPU time of turn 1,000 of a conversation, compared with its turn 10. Aim: at most 1.2 times as much.
- the seconds and the peak memory of `report --since 7d`: first when the journal holds 10 % of its final turns, then
  when it holds all turns. Aim: at most 1.2 times as much memory with all turns.
- the median and p99 of the time to the first word of an agent without a model: first with the database next to the
  server, then with the database 2 ms away. A turn waits for one round trip to the database before its first word.

Needs PostgreSQL. PostgreSQL waits for the disk at each commit, except while the journal is filled.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import uvloop
from loguru import logger

from layercode_app import LayerCode, Turn, VoiceAgent, load_settings
from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.journal.stores import create_store
from tests.journal.stores.faulty_link import faulty_link
from tests.postgres_server import PostgresServer
from tests.serving import serve

from .stores import AIM, fill, growth

SAMPLES = 2000
DAYS = 70
CALLS = 300
AWAY_SECONDS = 0.001
"""The delay of each message, in each direction."""
SECRET = "test-secret"
_COPY_TURNS = """
INSERT INTO layercode.turns (conversation_id, turn_id, kind, speaking, agent, status, owner, token, started_at, tokens,
    head, messages, frames)
SELECT to_char(n, 'FM00000000') || '-' || t.conversation_id, t.turn_id, t.kind, t.speaking, t.agent, t.status, t.owner, t.token,
    extract(epoch FROM now()) - %(seconds)s::float8 * (1 - (n - %(first)s::int + 1) / %(count)s::float8), t.tokens, t.head,
    t.messages, t.frames
FROM generate_series(%(first)s::int, %(last)s::int) AS n, sample AS t
"""
_COPY_CONVERSATIONS = """
INSERT INTO layercode.conversations (conversation_id, agent, started_at, last_at)
SELECT conversation_id, min(agent), min(started_at), max(started_at) FROM layercode.turns GROUP BY conversation_id
ON CONFLICT DO NOTHING
"""


def multiply(url: str, first: int, last: int) -> None:
    """Copy the turns that `sample` wrote, once for each number from `first` to `last`.

    The number becomes part of the conversation ids of the copy.
    """
    given = {"first": first, "last": last, "count": last - first + 1, "seconds": DAYS * 86_400}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            # Sorted, so that the copies are added at the end of each index.
            "CREATE TEMP TABLE sample AS SELECT * FROM layercode.turns WHERE conversation_id LIKE 'sample%' "
            "ORDER BY conversation_id, turn_id"
        )
        connection.execute(_COPY_TURNS, given)
        connection.execute(_COPY_CONVERSATIONS)
        connection.execute("ANALYZE")


async def sample(url: str) -> None:
    """Write the turns that `multiply` copies."""
    store = create_store(url)
    await store.open()
    await fill(store, SAMPLES, 50)
    await store.close()
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("turns", "conversations"):
            connection.execute(f"UPDATE layercode.{table} SET conversation_id = 'sample-' || conversation_id")


def report(url: str) -> tuple[float, float, str]:
    """Run `report --since 7d`; return its seconds, its peak memory in megabytes, and its number of turns."""
    code = "import resource, sys; from layercode_app.cli.main import main; sys.argv = ['x', *sys.argv[1:]]\n"
    code += "try: main()\nfinally: print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "--since", "7d", "--json", "--store", url],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    peak = re.search(r"PEAK (\d+)", done.stderr)
    turns = re.search(r'"turns": ?(\d+)', done.stdout)
    assert peak
    assert turns
    return time.perf_counter() - began, int(peak[1]) / 1024, turns[1]


async def first_words(url: str) -> list[float]:
    """Make calls that have one turn each, one after another; return the milliseconds to the first word of each."""
    voice = VoiceAgent("echo")

    @voice.on_message
    async def answer(turn: Turn) -> str:
        return turn.text

    given = {"webhook_secret": SECRET, "store": url, "log_dir": "", "filler": "off"}
    app = LayerCode(voice, settings=load_settings(given, env_file=None, toml_file=None))
    found = []
    async with serve(app) as address, WebhookClient(f"{address}/api/agent", SECRET) as client:
        for number in range(CALLS):
            ids = {"conversation_id": f"first-{time.time_ns()}", "session_id": "s", "turn_id": f"t{number}"}
            began = time.perf_counter()
            async with client.deliver({"type": "message", "text": "hello", **ids}) as received:
                spoken = [time.perf_counter() async for frame in received.frames() if frame.type == "response.tts"]
            found.append((spoken[0] - began) * 1000)
    return sorted(found)


async def link_away(server: PostgresServer) -> None:
    """Print the time to the first word twice: with the database next to the server, and with the database 2 ms away."""
    async with faulty_link(server.port) as link:
        url = f"postgresql://test@127.0.0.1:{link.port}/postgres"
        for name, delay in (("next to the server", 0.0), ("2 ms away", AWAY_SECONDS)):
            link.delay = delay
            words = await first_words(url)
            p99 = words[int(len(words) * 0.99) - 1]
            print(f"first word, database {name}: median {statistics.median(words):.1f} ms, p99 {p99:.1f} ms")


def main() -> int:
    """Print the figures. Return 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=1_000_000, help="number of turns to fill the journal with first")
    copies = parser.parse_args().turns // SAMPLES
    logger.remove()
    server = PostgresServer(durable=True)
    server.start()
    try:
        asyncio.run(sample(server.url))
        reports = []
        for first, last in ((1, copies // 10), (copies // 10 + 1, copies)):
            began = time.perf_counter()
            multiply(server.url, first, last)
            print(f"\nfilled up to {last * SAMPLES:,} turns in {time.perf_counter() - began:.0f} s")
            reports.append(report(server.url))
            seconds, peak, turns = reports[-1]
            print(f"report --since 7d: {turns} turns in {seconds:.0f} s, peak memory {peak:.0f} MB")
        ratio = uvloop.run(growth(server.url))
        asyncio.run(link_away(server))
    finally:
        server.stop()
    memory = reports[1][1] / reports[0][1]
    print(
        f"turn 1,000 needs {ratio:.2f} times the CPU time of turn 10; a report on the full journal needs {memory:.2f} "
        f"times the memory of a report on 10 % of the journal (aim for both: at most {AIM})"
    )
    return int(max(ratio, memory) > AIM)


if __name__ == "__main__":
    sys.exit(main())
