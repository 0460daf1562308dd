"""Measure what the journal costs per turn in each store, and whether the cost grows with the conversation or journal.

    python -m benchmarks.stores [--turns 100000]

Costs are microseconds of this process's CPU and of wall clock time. A turn calls `begin`, which also reads the history,
and `save`. Redis and PostgreSQL are included if they are installed; PostgreSQL waits for the disk at each commit.

The second part measures whether the cost grows. It fills a SQLite journal with `--turns` turns, holds a conversation of
1,000 turns, and compares the CPU time of turn 1,000 with that of turn 10, without the time in the model. Aim: at most
1.2 times as much, with a history budget of 2,000 tokens, both without and with a spending budget. The ratio with the
default history budget is printed too. `benchmarks.large_journal` does the same in a large PostgreSQL journal.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop
from loguru import logger
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import VoiceAgent, load_settings
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.listener import Listener
from layercode_app.journal.record import Frame, Kind, Speech, Status, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Store
from layercode_app.settings.limits import Limits
from layercode_app.watch.budgets import Budgets
from layercode_app.watch.pending import PendingTotals
from layercode_app.webhook import Message
from tests.postgres_server import PostgresServer

REPLY = "That is a sensible question, and the answer takes about as many words as this sentence has. "
AIM = 1.2


def record(conversation_id: str, turn_id: str) -> TurnRecord:
    event = {"type": "message", "conversation_id": conversation_id, "turn_id": turn_id, "text": "hello there"}
    started = time.time()
    return TurnRecord(conversation_id, turn_id, Kind.MESSAGE, "a", event=event, user_text="hello", started_at=started)


async def one_turn(store: Store, conversation_id: str, turn_id: str) -> None:
    turn = record(conversation_id, turn_id)
    await store.begin(turn, history_tokens=0)
    turn.speech, turn.timings = [Speech("say", 0, REPLY)], {"ttfs": 1.0, "total": 2.0}
    turn.frames = [Frame("response.tts", REPLY, 1.0), Frame("response.end", None, 2.0)]
    turn.status, turn.ended_at = Status.COMPLETE, time.time()
    await store.save(turn)


async def fill(store: Store, turns: int, callers: int) -> tuple[float, float]:
    """Write `turns` turns to the store, from `callers` concurrent callers.

    Return the seconds of wall clock time and of CPU time per turn.
    """

    async def caller(name: str, count: int) -> None:
        for number in range(count):
            await one_turn(store, f"{name}-{number // 10}", f"t{number}")

    each = turns // callers
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[caller(f"{time.time_ns()}-{number}", each) for number in range(callers)])
    return (time.perf_counter() - wall) / (each * callers), (time.process_time() - cpu) / (each * callers)


async def costs(name: str, url: str) -> None:
    store = create_store(url)
    await store.open()
    await fill(store, 500, 10)
    for callers in (1, 10, 50):
        rounds = [await fill(store, 2000, callers) for _ in range(3)]
        wall, cpu = (statistics.median(column) * 1e6 for column in zip(*rounds, strict=True))
        print(f"{name:>8}, {callers:>2} at once: {cpu:6.0f} us CPU, {wall:6.0f} us wall per turn")
    await store.close()


# --- growth


class Growth:
    """A conversation with a PydanticAI agent, to compare the CPU time of its early and late turns."""

    def __init__(self, store: Store, conversation_id: str, history_tokens: int, *, spending: str = "") -> None:
        self._conversation_id = conversation_id
        self._voice = VoiceAgent("bench", Agent(FunctionModel(stream_function=self._model)))
        settings = load_settings({"budget_conversation": spending}, env_file=None, toml_file=None)
        refusal = Budgets(settings, store, PendingTotals(store)).refusal
        self._handler = TurnHandler(store, limits=Limits(history_tokens=history_tokens), refusal=refusal)
        self._model_began = 0.0
        self.past = 0

    async def _model(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        self._before_model = time.process_time() - self._began
        self.past = len(messages)
        yield REPLY
        self._model_ended = time.process_time()

    async def turn(self, number: int) -> float:
        """Run one turn and return its CPU seconds, without the time between the model's first and last word."""
        ids = {"conversation_id": self._conversation_id, "turn_id": f"t{number}", "session_id": "s"}
        event = Message.model_validate({"type": "message", "text": "hello there", **ids})
        self._began = time.process_time()
        await self._handler.admit(AgentRunner(self._voice), event, Listener(_nowhere), received=time.perf_counter())
        return self._before_model + time.process_time() - self._model_ended


async def _nowhere(frames: Sequence[Frame]) -> None:
    """Discard the frames."""


async def growth(url: str, turns: int = 0) -> float:
    """Fill the journal with `turns` turns, then measure how much slower the turns of three long calls get.

    The ratio of a call is the CPU time of its turn 1,000 divided by the CPU time of its turn 10. All three ratios are
    printed. The first call has no spending budget, and the second call has one. The third call has the default history
    budget. Return the larger ratio of the first two calls.
    """
    store = create_store(url)
    await store.open()
    if turns:
        started = time.perf_counter()
        await fill(store, turns, 50)
        print(f"\nfilled with {turns:,} turns in {time.perf_counter() - started:.0f} s")
    ratios = [await _ratio(store, tokens, spending) for tokens, spending in ((2000, ""), (2000, "$1000"), (8000, ""))]
    await store.close()
    return max(ratios[:2])


async def _ratio(store: Store, tokens: int, spending: str) -> float:
    name = f"{tokens}{'-budget' if spending else ''}"
    conversation = Growth(store, f"growing-{name}", tokens, spending=spending)
    early, late, few = [], [], 0
    gc.disable()
    for number in range(1, 1026):
        seconds = await conversation.turn(number)
        if 8 <= number <= 12:
            early.append(seconds)
            few = conversation.past
        if number >= 976:
            late.append(seconds)
        if number % 100 == 0:
            gc.collect()
    gc.enable()
    # Each conversation has only one turn 10, so short conversations provide more samples of it.
    for other in range(10):
        short = Growth(store, f"short-{name}-{other}", tokens, spending=spending)
        early += [seconds for number in range(1, 13) if (seconds := await short.turn(number)) and number >= 8]
    ratio = statistics.median(late) / statistics.median(early)
    print(
        f"history of {tokens:>5} tokens, {f'budget {spending}' if spending else 'no budget':>12}: "
        f"turn 10 {statistics.median(early) * 1e6:5.0f} us ({few} messages), "
        f"turn 1,000 {statistics.median(late) * 1e6:5.0f} us ({conversation.past} messages): {ratio:.2f} times"
    )
    return ratio


@contextmanager
def redis_server(folder: str) -> Iterator[str]:
    """Run a Redis server. Yield its URL, or "" if the program is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield ""
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options: list[Any] = ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--save", ""]
    server = subprocess.Popen([program, *map(str, options)], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL server. Yield its URL, or "" if it is not installed."""
    try:
        server = PostgresServer(durable=True)
    except pytest.skip.Exception:
        yield ""
        return
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def main() -> int:
    """Print the cost per turn in each store, and the ratio of turn 1,000 to turn 10. Return 1 if the aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=100_000, help="number of turns to fill the journal with first")
    turns = parser.parse_args().turns
    logger.remove()
    with tempfile.TemporaryDirectory() as folder, redis_server(folder) as redis:
        uvloop.run(costs("memory", "memory"))
        uvloop.run(costs("sqlite", f"sqlite:///{folder}/costs.sqlite3"))
        if redis:
            uvloop.run(costs("redis", redis))
        else:
            print("  redis: redis-server is not installed")
        with postgres_server() as postgres:
            if postgres:
                uvloop.run(costs("postgres", postgres))
            else:
                print("postgres: PostgreSQL is not installed")
        ratio = uvloop.run(growth(f"sqlite:///{folder}/growth.sqlite3", turns))
    print(f"turn 1,000 against turn 10: {ratio:.2f} (aim at most {AIM})")
    return int(ratio > AIM)


if __name__ == "__main__":
    sys.exit(main())
