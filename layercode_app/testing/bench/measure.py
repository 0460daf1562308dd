"""Hold many calls at once against webhooks, and measure how long each caller waits."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ...exceptions import DeliveryError
from ..check.probe import Talk
from . import hedges
from .connection import Address, Line
from .failures import count_failures
from .load import Arrivals, Load
from .measured import Measured, Series
from .usage import Server

Done = Callable[[], None]
"""Called after each turn."""

FIXES = {
    "unreachable": "nothing listens there. Check that the server runs, and that the address is right.",
    "timeout": "no answer came in time. Check the host, and that the agent answers.",
    "broken": "the connection was closed before an answer came.",
    "malformed": "the answer is not HTTP, or its stream is not JSON.",
    "no stream": "the answer is not Server-Sent Events. Give the webhook's URL, such as http://127.0.0.1:8000/api/agent.",
    "no response.end": "the stream did not end with response.end; `check` shows more.",
    "status 401": "the signature was refused. Give the webhook's secret with --secret or LAYERCODE_WEBHOOK_SECRET.",
    "status 404": "there is no webhook at that path. This package serves /api/agent and /api/agents/NAME.",
    "status 405": "there is no webhook at that path. This package serves /api/agent and /api/agents/NAME.",
}


@dataclass(frozen=True)
class Target:
    """A webhook to measure, its label, and its server processes if they can be inspected.

    `journal` is the URL of the server's store, if `bench` started the server.
    """

    name: str
    url: str
    secret: str
    server: Server | None = None
    journal: str = ""

    @cached_property
    def address(self) -> Address:
        """The webhook's address. Raises ConfigurationError if the URL is not HTTP."""
        return Address(self.url)


async def greet(target: Target, load: Load) -> None:
    """Run a warm-up turn that is not counted. Raises DeliveryError with the reason if it fails."""
    line = Line(target.address, timeout=load.timeout)
    try:
        heard = await line.turn(_request(target, Talk(), load.text(0, 0)))
    finally:
        line.close()
    if heard.error:
        fix = FIXES.get(heard.error, "`send` shows the server's answer.")
        raise DeliveryError(f"The first turn at {target.url} failed with {heard.error!r}: {fix}", reason=heard.error)


async def measure(
    targets: Sequence[Target],
    load: Load,
    *,
    arrivals: Sequence[Arrivals] = ("spread",),
    rounds: int = 1,
    done: Done = lambda: None,
) -> list[Series]:
    """Measure webhooks alternately, so that a change in the machine's speed affects all of them alike.

    Each round measures every webhook once per kind of arrivals. Rounds alternate between forward and reverse order.
    Before the first round, each webhook gets a warm-up turn. Raises DeliveryError if that turn fails.
    """
    found = [Series(target.name, target.url, kind) for kind in arrivals for target in targets]
    order = [(series, target) for series, target in zip(found, [*targets] * len(arrivals), strict=True)]
    for target in targets:
        await greet(target, load)
    for number in range(rounds):
        for series, target in order if number % 2 == 0 else reversed(order):
            plan = replace(load, arrivals=series.arrivals)
            series.rounds.append(await bench(target, plan, seed=number, done=done))
    return found


async def bench(target: Target, load: Load, *, seed: int = 0, done: Done = lambda: None) -> Measured:
    """Run one round on one webhook. `seed` decides which turns are interrupted and how long the pauses are."""
    measured, since = Measured(target.url), time.time()
    async with AsyncExitStack() as stack:
        if target.server is not None:
            # Only a server on this machine is watched. Enter these blocks first, so that the time for reading the
            # server's metrics is not measured.
            measured.hedged = await stack.enter_async_context(hedges.watched(target.url))
            measured.server = await stack.enter_async_context(target.server.watched())
        stack.enter_context(_undisturbed())
        begun, cpu = time.perf_counter(), time.process_time()
        together = asyncio.Barrier(load.callers)
        callers = [_Caller(number, target, load, measured, together, seed) for number in range(load.callers)]
        await asyncio.gather(*(caller.call(begun, done) for caller in callers))
        measured.seconds = time.perf_counter() - begun
        measured.caller_cpu = time.process_time() - cpu
    if target.journal:
        await count_failures(measured, target.journal, since=since)
    return measured


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Disable the garbage collector, so that its pauses do not add to the measured times."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Caller:
    """A caller who holds one conversation."""

    def __init__(
        self, number: int, target: Target, load: Load, measured: Measured, together: asyncio.Barrier, seed: int
    ) -> None:
        self._number, self._target, self._load, self._measured = number, target, load, measured
        self._together = together
        self._chance = random.Random(f"{seed} {number}")  # noqa: S311 - not used for security
        self._line = Line(target.address, timeout=load.timeout)

    async def call(self, begun: float, done: Done) -> None:
        """Hold the conversation from first to last turn; `begun` is the round's start on the performance counter."""
        talk = Talk()
        try:
            for turn in range(self._load.turns):
                await self._wait(turn)
                cut = self._chance.random() < self._load.interrupt
                request = _request(self._target, talk, self._load.text(self._number, turn))
                if self._load.arrivals == "together":
                    await self._together.wait()
                at = time.perf_counter() - begun
                heard = await self._line.turn(request, cut=cut)
                self._measured.add(heard, turn=turn, at=at, turn_id=talk.turn_id)
                done()
        finally:
            self._line.close()

    async def _wait(self, turn: int) -> None:
        load = self._load
        if load.arrivals == "together":
            await asyncio.sleep(load.think if turn else 0)
        elif turn:
            await asyncio.sleep(load.think * self._chance.uniform(0.5, 1.5))
        elif load.callers > 1:
            await asyncio.sleep(load.ramp * self._number / (load.callers - 1))


def _request(target: Target, talk: Talk, text: str) -> bytes:
    event: dict[str, Any] = talk.event("message", text=text)
    return target.address.request(event, target.secret)
