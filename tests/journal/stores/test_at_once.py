"""If several workers write to one journal at the same time, the outcome is as if they had written one after another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from itertools import count, permutations
from typing import Any

import pytest

from layercode_app.journal import steady_clock
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores.base import Job, Store
from layercode_app.journal.stores.memory import MemoryStore

from ...thoroughness import times
from .conftest import Open
from .records import ended, turn
from .test_same_answers import BEGAN, everything, plain

pytestmark = pytest.mark.anyio

NAMES = ("a", "b")
RACES = 25
KINDS = (Kind.GREETING, Kind.MESSAGE, Kind.MESSAGE, Kind.DATA)
Key = tuple[str, str]


@dataclass
class Write:
    """One write of a worker, which runs at the same time as the writes of other workers.

    If the write needs a record, the worker reads the record `key` first.
    """

    worker: int
    what: str
    run: Callable[[Store, TurnRecord | None], Awaitable[Any]]
    key: Key | None = None

    async def read(self, store: Store) -> TurnRecord | None:
        return None if self.key is None else await store.get(*self.key)


class Race:
    """Workers that use one journal at the same time.

    For comparison, a store in memory does the same operations one after another.
    """

    def __init__(self, workers: Sequence[Store], seed: int) -> None:
        self.workers = workers
        self.model = MemoryStore()
        self.dice = random.Random(seed)
        self.known: dict[Key, float] = {}
        self.jobs = [Job(f"j{number}", "n", "agent", {"k": number}, self.dice.choice(NAMES)) for number in range(3)]
        self.ids = count()

    async def run(self) -> None:
        """Let some workers write at the same time, and check the outcome.

        It must be the outcome of the same writes made one after another, in one of the possible orders.
        """
        writes = [self._some_write() for _ in range(self.dice.choice([2, 2, 3]))]
        records = [await write.read(self.workers[write.worker]) for write in writes]
        written = [write.run(self.workers[write.worker], record) for write, record in zip(writes, records, strict=True)]
        answers = await asyncio.gather(*written)
        after = [await everything(store) for store in self.workers]
        unlike: list[str] = []
        for order in permutations(range(len(writes))):
            model = deepcopy(self.model)
            told = await _one_by_one(model, writes, order)
            unlike += _differences([told, *[await everything(model)] * len(after)], [answers, *after])[:1] or [""]
            if not unlike[-1]:
                self.model = model
                return
        raise AssertionError([(write.worker, write.what, write.key) for write in writes], unlike)

    def _some_write(self) -> Write:
        worker = self.dice.randrange(len(self.workers))
        make = self.dice.choice(
            [
                *[self._begin, self._save, self._claim] * 2,
                self._update,
                self._fields,
                self._job,
                self._total,
                self._forget,
            ]
        )
        return make(worker)

    def _some_turn(self) -> Key:
        return self.dice.choice([("a", "unknown"), *list(self.known)[-3:]])

    def _begin(self, worker: int) -> Write:
        number = next(self.ids)
        again = bool(self.known) and self.dice.random() < 0.3
        name, turn_id = self._some_turn() if again else (self.dice.choice(NAMES), f"t{number}")
        began = self.known.setdefault((name, turn_id), BEGAN + number)
        kind, tokens = self.dice.choice(KINDS), self.dice.choice([0, 10_000])

        async def run(store: Store, record: TurnRecord | None) -> Any:
            record = turn(name, turn_id, kind=kind, started_at=began, user_text="x" * 400)
            begun = await store.begin(record, history_tokens=tokens)
            past = [plain(one) for one in begun.history], [plain(one) for one in begun.displaced]
            return begun.outcome, plain(begun.record), begun.state, begun.metadata, past

        return Write(worker, f"begin {turn_id}", run)

    def _save(self, worker: int) -> Write:
        status, at = self.dice.choice([*Status]), BEGAN + next(self.ids)
        state = {self.dice.choice("xy"): self.dice.random()} if self.dice.random() < 0.5 else None

        async def run(store: Store, record: TurnRecord | None) -> None:
            if record is not None:
                ended(record, f"said {at}", status).ended_at = at
                await store.save(record, state=state)

        return Write(worker, f"save {status}", run, self._some_turn())

    def _claim(self, worker: int) -> Write:
        async def run(store: Store, record: TurnRecord | None) -> Any:
            # A worker does not claim its own turns.
            if record is None or record.owner == store.owner:
                return None
            return await store.claim(record), plain(record)

        return Write(worker, "claim", run, self._some_turn())

    def _update(self, worker: int) -> Write:
        key, name = self._some_turn(), self.dice.choice("st")

        async def run(store: Store, record: TurnRecord | None) -> Any:
            return await store.update(*key, change) is not None

        def change(record: TurnRecord) -> None:
            record.scores[name] = record.scores.get(name, 0) + 1

        return Write(worker, f"update {key}", run)

    def _fields(self, worker: int) -> Write:
        name, fields = self.dice.choice(NAMES), {self.dice.choice("xyz"): self.dice.random()}
        turn_id, metadata = self.dice.choice([None, self._some_turn()[1]]), self.dice.random() < 0.4

        async def run(store: Store, record: TurnRecord | None) -> Any:
            if metadata:
                return await store.establish(name, fields)
            return await store.save_state(name, fields, turn_id=turn_id)

        return Write(worker, "establish" if metadata else f"state of {turn_id}", run)

    def _job(self, worker: int) -> Write:
        job, now, what = self.dice.choice(self.jobs), steady_clock.now(), self.dice.choice(["add", "lease", "end"])

        async def run(store: Store, record: TurnRecord | None) -> Any:
            match what:
                case "add":
                    return await store.enqueue(replace(job))
                case "lease":
                    leased = await store.lease(now=now + 10, seconds=1e6, only=(job.id,))
                    return leased and asdict(leased)["attempts"]
                case _:
                    return await store.settle(replace(job))

        return Write(worker, f"{what} {job.id}", run)

    def _total(self, worker: int) -> Write:
        name = self.dice.choice("nm")

        async def run(store: Store, record: TurnRecord | None) -> Any:
            return await store.add_totals("day/1", {name: 1.0})

        return Write(worker, "total", run)

    def _forget(self, worker: int) -> Write:
        name = self.dice.choice(NAMES)

        async def run(store: Store, record: TurnRecord | None) -> Any:
            return await store.forget(name)

        return Write(worker, f"forget {name}", run)


async def _one_by_one(model: MemoryStore, writes: Sequence[Write], order: Sequence[int]) -> list[Any]:
    """Make the writes in the store in memory: let all workers read first, and then write in this order."""
    records = [await write.read(model) for write in writes]
    answers: list[Any] = [None] * len(writes)
    for number in order:
        model.owner = f"worker {writes[number].worker}"
        answers[number] = await writes[number].run(model, records[number])
    return answers


def _differences(expected: Sequence[Any], came: Sequence[Any]) -> list[str]:
    """Return the differences between `expected` and `came`.

    The first item of both is the list of answers to the writes. Each further item is the content that one worker reads
    after the writes. The contents are compared only if the answers are equal.
    """
    if expected[0] != came[0]:
        return [f"answers: {came[0]} instead of {expected[0]}"]
    return [
        f"{what} of worker {number}: {seen[what]} instead of {value}"
        for number, (model, seen) in enumerate(zip(expected[1:], came[1:], strict=True))
        for what, value in model.items()
        if seen[what] != value
    ]


@pytest.mark.repeated
async def test_writes_at_once_are_as_if_they_were_one_after_another(worker: Open) -> None:
    workers = [await worker() for _ in range(2)]
    for seed in range(times(32)):
        race = Race(workers, seed)
        for _ in range(RACES):
            await race.run()
        for name in NAMES:
            await workers[0].forget(name)
        for job in race.jobs:
            await workers[0].settle(job)
        await workers[0].drop_totals("day/", before="day/2")


async def test_of_two_totals_that_are_added_at_once_one_reads_both(worker: Open) -> None:
    one, two = await worker(), await worker()
    for number in range(100):
        key = f"day {number}"
        here, there = await asyncio.gather(one.add_totals(key, {"a": 1.0}), two.add_totals(key, {"b": 1.0}))
        assert {"a": 1.0, "b": 1.0} in (here, there)
