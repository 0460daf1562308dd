"""Measure the time to the first word with and without hedging, with a model that is slow in one of 20 requests.

    python -m benchmarks.hedging [TURNS]

Uses the real turn engine with a SQLite journal and two callers; each turn is a new conversation. The model's first
token comes after 0.2 to 0.4 s, but in one of 20 requests, chosen at random, after 3 s. Each round is played with and
without hedging, with the same random seed. A hedged request is sent again after 0.6 s. Aims: the p99 of the first word
is at most the sum of the hedge's delay, the p50 and 100 ms; and at most 7 % more requests are sent. The figures are
medians of three rounds.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Message, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.listener import Listener
from layercode_app.journal.record import Frame
from layercode_app.journal.stores import create_store
from layercode_app.percentiles import percentile
from layercode_app.settings.limits import Limits

TURNS, CALLERS, ROUNDS = 300, 2, 3
SLOW_SHARE, SLOW_SECONDS = 0.05, 3.0
USUAL_SECONDS = (0.2, 0.4)
HEDGE_AFTER = 0.6
MARGIN_MS = 100.0
MOST_EXTRA = 0.07


@dataclass
class Side:
    """The measurements of one round. `p50` and `p99` are milliseconds to the first word.

    With hedging, a request that is slow is sent again. `extra` is the number of repeated requests per turn. `won` is
    the number of repeated requests that answered before the original request.
    """

    p50: float
    p99: float
    extra: float
    won: int


async def measure(turns: int, hedge_after: float, seed: int, folder: str) -> Side:
    """Play one round: let the callers speak all turns, and measure the turns."""
    delays = random.Random(seed)
    requests = 0

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        nonlocal requests
        requests += 1
        usual, slow = delays.uniform(*USUAL_SECONDS), delays.random() < SLOW_SHARE
        await asyncio.sleep(SLOW_SECONDS if slow else usual)
        yield "Good day, "
        yield "how can I help?"

    store = create_store(f"sqlite:///{folder}/journal.sqlite3")
    await store.open()
    handler = TurnHandler(store, limits=Limits(hedge_after=hedge_after))
    runner = AgentRunner(VoiceAgent("slow", Agent(FunctionModel(stream_function=answer))))
    numbers = iter(range(turns))

    async def caller() -> None:
        for number in numbers:
            event = {"session_id": "s", "conversation_id": f"c{number}", "turn_id": f"t{number}", "text": "hello"}
            await handler.admit(runner, Message.model_validate(event), Listener(_nobody), received=time.perf_counter())

    await asyncio.gather(*[caller() for _ in range(CALLERS)])
    records = [record async for record in store.turns()]
    await store.close()
    first = [record.timings["ttfs"] for record in records]
    won = sum(record.hedges[1] for record in records)
    return Side(percentile(first, 50) or 0.0, percentile(first, 99) or 0.0, requests / turns - 1, won)


async def _nobody(frames: Sequence[Frame]) -> None:
    """Discard the frames."""


def median(sides: Sequence[Side], name: str) -> float:
    """Return the median of the field `name` over the rounds."""
    return float(statistics.median(getattr(side, name) for side in sides))


def main(arguments: list[str]) -> int:
    turns = int(arguments[0]) if arguments else TURNS
    sides: dict[float, list[Side]] = {0.0: [], HEDGE_AFTER: []}
    for number in range(ROUNDS):
        for after, found in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                found.append(asyncio.run(measure(turns, after, number, folder)))
    print(f"{turns} turns, {CALLERS} callers, medians of {ROUNDS} rounds; hedged after {HEDGE_AFTER * 1000:.0f} ms\n")
    print(f"{'first word':14}{'p50':>10}{'p99':>10}{'more requests':>16}{'won':>8}")
    for after, found in sides.items():
        figures: dict[str, Any] = {name: median(found, name) for name in ("p50", "p99", "extra", "won")}
        name = "hedged" if after else "not hedged"
        print("{:14}{p50:7,.0f} ms{p99:7,.0f} ms{extra:16.1%}{won:8.0f}".format(name, **figures))
    hedged = sides[HEDGE_AFTER]
    limit = HEDGE_AFTER * 1000 + median(hedged, "p50") + MARGIN_MS
    held = median(hedged, "p99") <= limit and median(hedged, "extra") <= MOST_EXTRA
    print(
        f"\naims: p99 at most {limit:,.0f} ms, at most {MOST_EXTRA:.0%} more requests: {'held' if held else 'MISSED'}"
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
