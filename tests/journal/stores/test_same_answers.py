"""Every store answers like the store in memory, whatever is written to both, in whatever order."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any

import pytest

from layercode_app.journal import steady_clock
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores.base import Job, StateChangedError, Store
from layercode_app.journal.stores.memory import MemoryStore

from ...thoroughness import times
from .records import ended, turn

pytestmark = pytest.mark.anyio

NAMES = ("a", "b", "ü {x}", "caller:ann")
BEGAN = 1_700_000_000.0
STEPS = 40
KINDS = (Kind.GREETING, Kind.MESSAGE, Kind.MESSAGE, Kind.DATA, Kind.SESSION)


class Both:
    """Two stores that receive the same calls. Their results are compared."""

    def __init__(self, stores: Sequence[Store], seed: int) -> None:
        self.stores = stores
        self.dice = random.Random(seed)
        self.known: dict[tuple[str, str], float] = {}
        """When each turn began. Some of them may be forgotten by now."""
        self.jobs = [Job(f"j{number}", "n", "agent", {"k": number}, self.dice.choice(NAMES)) for number in range(6)]
        self.ids = count()

    def some_turn(self) -> tuple[str, str]:
        return self.dice.choice([("a", "unknown"), *self.known])

    async def step(self) -> None:
        await self.dice.choice(
            [self.begin, self.save, self.save, self.claim, self.change, self.fields, self.job, self.total, self.gone]
        )()

    async def begin(self) -> None:
        number = next(self.ids)
        again = bool(self.known) and self.dice.random() < 0.2
        name, turn_id = self.dice.choice([*self.known]) if again else (self.dice.choice(NAMES), f"t{number}")
        kind, tokens = self.dice.choice(KINDS), self.dice.choice([0, 200, 10_000])
        # A duplicate has the start time of its first delivery. In Redis, a later time would postpone the deletion of the
        # conversation by `prune`, as a new turn does.
        began = self.known[name, turn_id] if again else BEGAN + number + self.dice.choice([0, -5])
        answers = []
        for store in self.stores:
            record = turn(name, turn_id, kind=kind, started_at=began, agent=f"agent {number % 3}", user_text="x" * 400)
            begun = await store.begin(record, history_tokens=tokens)
            # If the store knows the turn already, it returns only the record, and these fields are empty.
            fields = (begun.state, begun.metadata, _all(begun.history), _all(begun.displaced))
            answers.append((begun.outcome, plain(begun.record), fields))
        same(answers)
        self.known[name, turn_id] = began

    async def save(self) -> None:
        key, status = self.some_turn(), self.dice.choice([*Status])
        said, at = "word " * self.dice.choice([1, 100]), BEGAN + next(self.ids)
        state = {self.dice.choice("xy"): self.dice.random()} if self.dice.random() < 0.5 else None
        based_on, answers = await self.based_on(key[0]), []
        for store in self.stores:
            record = await store.get(*key)
            if record is not None:
                ended(record, said, status).ended_at = at
                answers.append(await tried(store.save(record, state=state, based_on=based_on)))
        same(answers or [None, None])

    async def based_on(self, name: str) -> dict[str, Any] | None:
        """The stored state of a conversation, the state that it never had, or None."""
        return self.dice.choice([None, {"x": -1.0}, (await self.stores[0].conversation(name)).state])

    async def change(self) -> None:
        key, value = self.some_turn(), self.dice.random()

        def score(record: TurnRecord) -> None:
            record.scores["s"] = value

        same([await store.update(*key, score) is not None for store in self.stores])

    async def claim(self) -> None:
        key, stale = self.some_turn(), self.dice.random() < 0.3
        answers = []
        for store in self.stores:
            record = await store.get(*key)
            if record is not None:
                record.attempt -= stale
                answers.append((await store.claim(record), plain(record)))
        if answers:
            same(answers)

    async def fields(self) -> None:
        name, fields = self.dice.choice(NAMES), {self.dice.choice("xyzü"): self.dice.random()}
        match self.dice.randrange(3):
            case 0:
                for store in self.stores:
                    await store.establish(name, fields)
            case 1:
                same([await store.save_state(name, fields) for store in self.stores])
            case _:
                turn_id = self.some_turn()[1]
                based_on = await self.based_on(name)
                calls = [store.save_state(name, fields, turn_id=turn_id, based_on=based_on) for store in self.stores]
                same([await tried(call) for call in calls])

    async def job(self) -> None:
        job, now = self.dice.choice(self.jobs), steady_clock.now()
        match self.dice.randrange(4):
            case 0:
                same([await store.enqueue(Job(**asdict(job))) for store in self.stores])
            case 1:
                only = self.dice.choice([(), (job.id,), ("other",)])
                leased = [await store.lease(now=now + 10, seconds=1e6, only=only) for store in self.stores]
                same([(one is None, one and only and one.id) for one in leased])
            case 2:
                for store in self.stores:
                    await store.settle(Job(**asdict(job)))
            case _:
                for store in self.stores:
                    await store.settle(Job(**asdict(job)), retry_at=now)

    async def total(self) -> None:
        key, amounts = self.dice.choice(["day/1", "day/2", "week/1"]), {self.dice.choice("nm"): 0.5}
        if self.dice.random() < 0.8:
            same([await store.add_totals(key, amounts) for store in self.stores])
            return
        for store in self.stores:
            await store.drop_totals("day/", before=key)

    async def gone(self) -> None:
        match self.dice.randrange(4):
            case 0:
                name = self.dice.choice(NAMES)
                same([await store.forget(name) for store in self.stores])
            case 1:
                before = BEGAN + self.dice.randrange(STEPS)
                same([await store.prune(before) for store in self.stores])
            case _:
                pass

    async def compare(self) -> None:
        of_memory, of_store = [await everything(store) for store in self.stores]
        for what, expected in of_memory.items():
            assert of_store[what] == expected, what


def same(answers: Sequence[Any]) -> None:
    of_memory, of_store = answers
    assert of_store == of_memory


async def tried(call: Awaitable[bool]) -> bool | str:
    """Return the answer, or "changed" if the state was changed."""
    try:
        return await call
    except StateChangedError:
        return "changed"


def plain(record: TurnRecord) -> dict[str, Any]:
    """Return a turn as a dict, without `position` and `owner`, whose values each store chooses itself."""
    return asdict(record) | {"position": 0, "owner": "", "messages": bytes(record.messages)}


def _all(records: Sequence[TurnRecord]) -> list[dict[str, Any]]:
    return [plain(record) for record in records]


async def everything(store: Store) -> dict[str, Any]:
    """All that can be read from a store."""
    turns = [record async for record in store.turns()]
    assert [record.position for record in turns] == sorted({record.position for record in turns})
    newest = [record async for record in store.turns(newest_first=True, bodies=False)]
    assert [record.position for record in newest] == [record.position for record in reversed(turns)]
    size = await store.size()
    jobs = sorted(await store.pending_jobs(), key=lambda job: job.id)
    return {
        "turns": _all(turns),
        "late": _all([record async for record in store.turns(since=BEGAN + 10)]),
        "of one": _all([record async for record in store.turns(conversation_id="a", newest_first=True)]),
        "histories": {
            (name, tokens): _all(await store.history(name, tokens=tokens))
            for name in NAMES
            for tokens in (0, 300, 9_000)
        },
        "conversations": {name: asdict(await store.conversation(name)) for name in NAMES},
        "established": sorted(await store.established()),
        "listed": sorted([asdict(one) for one in await store.conversations()], key=str),
        "size": (size.turns, size.conversations, size.oldest),
        "jobs": [(job.id, job.payload, job.attempts, job.conversation_id) for job in jobs],
        "pending": [await store.is_pending(Job(f"j{number}", "n", "a", {})) for number in range(6)],
        "totals": await store.totals(""),
    }


@pytest.mark.repeated
async def test_every_store_answers_like_the_store_in_memory(store: Store) -> None:
    for seed in range(times(32)):
        memory = MemoryStore()
        await memory.open()
        both = Both([memory, store], seed)
        for number in range(STEPS):
            await both.step()
            if number % 4 == 3:
                await both.compare()
        for name in NAMES:
            await store.forget(name)
        for job in both.jobs:
            await store.settle(job)
        for key in ("day/1", "day/2", "week/1"):
            await store.drop_totals(key, before="z")
        await memory.close()
