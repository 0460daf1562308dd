"""The journal in memory, for tests and trials: only one process can use it, and it is lost when that process ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from uuid import uuid4

from .. import steady_clock
from ..record import Json, TurnRecord, assign, clone
from .base import (
    SPEAKING_KINDS,
    Begun,
    Change,
    Conversation,
    Job,
    Signal,
    Size,
    Store,
    Summary,
    check_unchanged,
    tokens_of,
)
from .history_steps import first_of


class MemoryStore(Store):
    """Stores everything in dictionaries.

    `max_turns` limits the number of turns, of conversations, and of ids of done jobs. The oldest are dropped first;
    conversations without turns are dropped before others. Pending jobs and totals are never dropped.
    """

    component = "memory"

    def __init__(self, *, max_turns: int = 100_000) -> None:
        self.owner = f"memory-{uuid4().hex}"
        self._max_turns = max_turns
        self._position = 0
        self._turns: dict[tuple[str, str], TurnRecord] = {}
        self._tokens: dict[tuple[str, str], int] = {}
        self._by_conversation: dict[str, deque[TurnRecord]] = {}
        self._conversations: dict[str, Conversation] = {}
        self._totals: dict[str, dict[str, float]] = {}
        self._jobs: dict[str, Job] = {}
        self._touched: dict[str, float] = {}
        self._settled: dict[str, str] = {}
        self._leased: dict[str, float] = {}
        self._receive: Callable[[Signal], None] = lambda signal: None

    async def open(self) -> None:
        """Do nothing: there is nothing to open."""

    async def close(self) -> None:
        """Do nothing: the journal stays readable."""

    async def ping(self) -> None:
        """Do nothing: memory is always writable."""

    async def size(self) -> Size:
        oldest = min((turn.started_at for turn in self._turns.values()), default=None)
        return Size(len(self._turns), len(self._by_conversation), oldest)

    async def begin(self, record: TurnRecord, *, history_tokens: int) -> Begun:
        known = self._turns.get(record.key)
        if known is not None:
            return Begun("finished" if known.finished else "running", clone(known))
        history = await self.history(record.conversation_id, tokens=history_tokens)
        displaced = [turn for turn in history if not turn.finished]
        self._add(record)
        kept = await self.conversation(record.conversation_id)
        return Begun("new", record, history, displaced, kept.state, kept.metadata)

    def _add(self, record: TurnRecord) -> None:
        self._position += 1
        record.position, record.owner = self._position, self.owner
        stored = clone(record)
        self._turns[record.key] = stored
        self._tokens[record.key] = tokens_of(stored)
        self._by_conversation.setdefault(record.conversation_id, deque()).append(stored)
        if len(self._turns) > self._max_turns:
            oldest = next(iter(self._turns.values()))
            self._drop([oldest])

    def _drop(self, records: list[TurnRecord]) -> None:
        for record in records:
            del self._turns[record.key], self._tokens[record.key]
            rest = self._by_conversation[record.conversation_id]
            rest.remove(record)
            if not rest:
                del self._by_conversation[record.conversation_id]
                self._drop_kept(record.conversation_id)

    def _drop_kept(self, conversation_id: str) -> None:
        self._conversations.pop(conversation_id, None)
        self._touched.pop(conversation_id, None)

    async def claim(self, record: TurnRecord) -> bool:
        stored = self._turns.get(record.key)
        if stored is None or stored.finished or (stored.owner, stored.attempt) != (record.owner, record.attempt):
            return False
        stored.owner, stored.attempt = self.owner, stored.attempt + 1
        assign(record, stored)
        return True

    async def save(
        self, record: TurnRecord, *, state: dict[str, Json] | None = None, based_on: Mapping[str, Json] | None = None
    ) -> bool:
        stored = self._turns.get(record.key)
        if stored is None or stored.owner != record.owner or (stored.finished and not record.finished):
            return False
        self._check_unchanged(record.conversation_id, state, based_on)
        self._overwrite(stored, record)
        if state:
            await self.save_state(record.conversation_id, state)
        return True

    def _check_unchanged(
        self, conversation_id: str, state: dict[str, Json] | None, based_on: Mapping[str, Json] | None
    ) -> None:
        kept = self._conversations.get(conversation_id)
        if state and kept is not None:
            check_unchanged(kept.state, state, based_on)

    def _overwrite(self, stored: TurnRecord, record: TurnRecord) -> None:
        position = stored.position
        assign(stored, record)
        stored.position = position
        self._tokens[stored.key] = tokens_of(stored)

    async def get(self, conversation_id: str, turn_id: str) -> TurnRecord | None:
        stored = self._turns.get((conversation_id, turn_id))
        return stored and clone(stored)

    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        stored = self._turns.get((conversation_id, turn_id))
        if stored is None:
            return None
        changed = clone(stored)
        change(changed)
        self._overwrite(stored, changed)
        return changed

    async def history(self, conversation_id: str, *, tokens: int, before: int | None = None) -> list[TurnRecord]:
        chosen: list[TurnRecord] = []
        left = tokens
        for turn in reversed(self._by_conversation.get(conversation_id, ())):
            if turn.kind not in SPEAKING_KINDS or (before is not None and turn.position >= before):
                continue
            left -= self._tokens[turn.key]
            if left < 0 and chosen:
                break
            chosen.append(turn)
        return [replace(clone(turn), frames=[]) for turn in self._stepped(chosen, tokens)]

    def _stepped(self, newest_first: list[TurnRecord], tokens: int) -> list[TurnRecord]:
        starts = [turn.history_start for turn in newest_first]
        oldest_first = newest_first[::-1]
        counted = [self._tokens[turn.key] for turn in oldest_first]
        return oldest_first[first_of([turn.position for turn in oldest_first], counted, starts, tokens) :]

    async def turns(
        self,
        *,
        conversation_id: str | None = None,
        since: float = 0.0,
        newest_first: bool = False,
        bodies: bool = True,
    ) -> AsyncIterator[TurnRecord]:
        everything = self._turns.values() if conversation_id is None else self._by_conversation.get(conversation_id, ())
        for turn in sorted(everything, key=lambda turn: turn.position, reverse=newest_first):
            if turn.started_at >= since:
                copy = clone(turn)
                if not bodies:
                    copy.messages, copy.frames = b"", []
                yield copy

    async def conversation(self, conversation_id: str) -> Conversation:
        return deepcopy(self._conversations.get(conversation_id, Conversation(conversation_id)))

    async def establish(self, conversation_id: str, metadata: dict[str, Json]) -> None:
        self._kept(conversation_id).metadata.update(deepcopy(metadata))

    async def save_state(
        self,
        conversation_id: str,
        state: dict[str, Json],
        *,
        turn_id: str | None = None,
        based_on: Mapping[str, Json] | None = None,
    ) -> bool:
        if turn_id is not None and (conversation_id, turn_id) not in self._turns:
            return False
        self._check_unchanged(conversation_id, state, based_on)
        self._kept(conversation_id).state.update(deepcopy(state))
        return True

    def _kept(self, conversation_id: str) -> Conversation:
        self._touched[conversation_id] = time.time()
        kept = self._conversations.setdefault(conversation_id, Conversation(conversation_id))
        if len(self._conversations) > self._max_turns:
            idle = (key for key in self._conversations if key not in self._by_conversation)
            self._drop_kept(next(idle, next(iter(self._conversations))))
        return kept

    async def conversations(self, *, limit: int = 50) -> list[Summary]:
        found = [
            Summary(key, turns[0].agent, _speaking(turns), min(map(_start, turns)), max(map(_start, turns)))
            for key, turns in self._by_conversation.items()
        ]
        return sorted(found, key=lambda summary: summary.last_at, reverse=True)[:limit]

    async def established(self) -> list[str]:
        return list(self._conversations)

    async def forget(self, conversation_id: str) -> int:
        gone = list(self._by_conversation.get(conversation_id, ()))
        self._drop(gone)
        self._drop_kept(conversation_id)
        for key in [key for key, job in self._jobs.items() if job.conversation_id == conversation_id]:
            del self._jobs[key]
            self._leased.pop(key, None)
        for key in [key for key, conversation_of in self._settled.items() if conversation_of == conversation_id]:
            del self._settled[key]
        return len(gone)

    async def prune(self, before: float) -> int:
        stale = [key for key, turns in self._by_conversation.items() if max(map(_start, turns)) < before]
        stale += [key for key, at in self._touched.items() if at < before and key not in self._by_conversation]
        return sum([await self.forget(key) for key in stale])

    async def add_totals(self, key: str, amounts: Mapping[str, float], *, request_id: str = "") -> dict[str, float]:
        kept = self._totals.setdefault(key, {})
        for name, amount in amounts.items():
            kept[name] = kept.get(name, 0.0) + amount
        return dict(kept)

    async def totals(self, prefix: str) -> dict[str, dict[str, float]]:
        return {key: dict(kept) for key, kept in sorted(self._totals.items()) if key.startswith(prefix)}

    async def drop_totals(self, prefix: str, *, before: str) -> None:
        for key in [key for key in self._totals if key.startswith(prefix) and key < before]:
            del self._totals[key]

    async def alive(self, owner: str) -> bool:
        return owner == self.owner

    async def signal(self, owner: str, signal: Signal) -> None:
        if owner == self.owner:
            self._receive(signal)

    def on_signal(self, receive: Callable[[Signal], None]) -> None:
        self._receive = receive

    async def enqueue(self, job: Job) -> bool:
        if job.id in self._jobs or job.id in self._settled:
            return False
        self._jobs[job.id] = deepcopy(job)
        return True

    async def lease(self, *, now: float, seconds: float, only: Sequence[str] = ()) -> Job | None:
        due = [job for job in self._jobs.values() if job.due_at <= now and self._leased.get(job.id, 0) <= now]
        if only:
            due = [job for job in due if job.id.startswith(tuple(only))]
        if not due:
            return None
        job = min(due, key=lambda job: job.due_at)
        self._leased[job.id] = now + seconds
        return deepcopy(job)

    async def pending_jobs(self) -> list[Job]:
        return deepcopy(list(self._jobs.values()))

    async def is_pending(self, job: Job) -> bool:
        return job.id in self._jobs

    async def renew(self, job: Job, *, until: float) -> None:
        if job.id in self._jobs:
            self._leased[job.id] = until

    async def save_attempt(self, job: Job) -> None:
        if job.id in self._jobs:
            self._jobs[job.id] = deepcopy(job)

    async def settle(self, job: Job, *, retry_at: float | None = None) -> None:
        self._leased.pop(job.id, None)
        if retry_at is None:
            if self._jobs.pop(job.id, None) is not None:
                self._settled[job.id] = job.conversation_id
            if len(self._settled) > self._max_turns:
                del self._settled[next(iter(self._settled))]
        elif job.id in self._jobs:
            job.due_at = retry_at or steady_clock.now()
            self._jobs[job.id] = deepcopy(job)


def _start(turn: TurnRecord) -> float:
    return turn.started_at


def _speaking(turns: Iterable[TurnRecord]) -> int:
    return sum(turn.kind in SPEAKING_KINDS for turn in turns)
