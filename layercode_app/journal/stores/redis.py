"""The journal in Redis, for workers on many machines.

Durability depends on the server's settings: with `appendonly yes` a power cut loses at most the last second.
Each write renews the time to live of its conversation, so a conversation expires one retention period after its last
write. The id of an expired conversation stays in two indexes until `prune`. Jobs and totals have no time to live.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from loguru import logger

from ...exceptions import StoreError
from ..record import Json, TurnRecord, assign
from ..record_json import dump_frames, dump_head
from . import redis_jobs as jobs
from . import redis_scripts as lua
from .base import (
    SPEAKING_KINDS,
    Begun,
    Change,
    Conversation,
    Job,
    Signal,
    Size,
    StateChangedError,
    Store,
    Summary,
    readable,
    tokens_of,
)
from .redis_link import Command, Link, component_of
from .redis_records import count_commands, fields, fitting, keys_of, load, meta_of, triples, two_by_two
from .redis_worker import Worker

LEAST_KEEP_SECONDS = 1200
"""Minimum retention in seconds: twice the time in which a duplicate of a webhook can arrive.

A signature is accepted from 300 s before its time until 300 s after it. So a duplicate can arrive 600 s after the
first delivery.
"""
SPOKEN = "layercode:conversations"
"""Sorted set of the conversations with turns, scored by the start of the last turn."""
ESTABLISHED = "layercode:established"
"""Sorted set of conversations, scored by the last write of state or metadata. The writes of turns do not count: the
conversations of turns are in SPOKEN."""
PAGE = 200
CHANGED = 3
"""The reply of SAVE and MERGE if the stored state has other values than the changes are based on."""


class RedisStore(Store):
    """A journal in the Redis at `url`. Conversations expire `keep_seconds` after their last write; 0 means never."""

    def __init__(self, url: str, *, keep_seconds: float = 0.0) -> None:
        self._url = url
        self._opened: Link | None = None
        self.component = component_of(url)
        self._keep = max(int(keep_seconds), LEAST_KEEP_SECONDS) if keep_seconds else 0
        self._worker = Worker()

    async def open(self) -> None:
        link = Link(self._url)
        try:
            await self._worker.start(link)
        except BaseException:
            await link.close()
            raise
        self._opened = link
        self.owner = self._worker.owner

    async def close(self) -> None:
        link, self._opened = self._opened, None
        if link is not None:
            await self._worker.stop()
            await link.close()

    @property
    def _link(self) -> Link:
        if self._opened is None:
            raise StoreError(f"The journal ({self.component}) is not open.")
        return self._opened

    async def ping(self) -> None:
        await self._run(("SET", "layercode:ping", "1", "EX", 60))

    async def size(self) -> Size:
        turns, names, oldest = 0, await self._spoken(0.0), None
        for start in range(0, len(names), PAGE):
            keys = [keys_of(name) for name in names[start : start + PAGE]]
            counts = await self._run(*[command for key in keys for command in count_commands(key)])
            for count, first in two_by_two(counts):
                turns += count
                oldest = min(oldest or float("inf"), float(first)) if first else oldest
        return Size(turns, len(names), oldest)

    async def _spoken(self, since: float) -> list[str]:
        return [name.decode() for name in (await self._run(("ZRANGEBYSCORE", SPOKEN, since, "+inf")))[0]]

    async def _run(self, *commands: Command) -> list[Any]:
        return await self._link.run(*commands)

    async def _script(self, text: str, conversation_id: str, *arguments: Any, around: tuple[Command, ...] = ()) -> Any:
        return await self._link.script(text, keys_of(conversation_id), *arguments, around=around)

    # --- turns

    async def begin(self, record: TurnRecord, *, history_tokens: int) -> Begun:
        record.owner = self.owner
        speaking = int(record.kind in SPEAKING_KINDS)
        row = (record.turn_id, self.owner, uuid4().hex, tokens_of(record), speaking, dump_head(record), record.messages)
        more = (history_tokens, record.agent, repr(record.started_at), self._keep)
        # Index the conversation before the script: if we crash in between, `prune` and `turns` still find it. Index it
        # again after the script, because another worker may be forgetting the conversation, see `_forget`.
        listed = ("ZADD", SPOKEN, "GT", record.started_at, record.conversation_id)
        outcome, *found = await self._script(lua.BEGIN, record.conversation_id, *row, *more, around=(listed,))
        if outcome == b"known":
            known = load(found[0])
            return Begun("finished" if known.finished else "running", known)
        position, newest_first, state, metadata = found
        record.position = int(position)
        history = fitting(newest_first, history_tokens)
        displaced = [turn for turn in history if not turn.finished]
        return Begun("new", record, history, displaced, fields(state), fields(metadata))

    async def claim(self, record: TurnRecord) -> bool:
        row = (record.turn_id, record.owner, record.attempt, self.owner, uuid4().hex)
        found = await self._script(lua.CLAIM, record.conversation_id, *row)
        if found:
            assign(record, load(found))
        return bool(found)

    async def save(
        self, record: TurnRecord, *, state: dict[str, Json] | None = None, based_on: Mapping[str, Json] | None = None
    ) -> bool:
        saved = await self._save(record, triples(state or {}, based_on), "")
        if saved == CHANGED:
            raise StateChangedError(f"Another turn has changed the state of {record.conversation_id!r}.")
        if saved == 0:
            logger.warning("Turn {} was not saved: another worker owns it, or it was deleted.", record.turn_id)
        return saved == 1

    async def _save(self, record: TurnRecord, state: list[str | bytes], revision: str) -> int:
        body = (dump_head(record), record.messages, dump_frames(record), self._keep, *state)
        row = (record.turn_id, record.owner, revision, uuid4().hex, record.status, tokens_of(record), *body)
        return int(await self._script(lua.SAVE, record.conversation_id, *row))

    async def get(self, conversation_id: str, turn_id: str) -> TurnRecord | None:
        found = await self._script(lua.GET, conversation_id, turn_id)
        return load(found[0]) if found[0] else None

    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        while True:
            found = (await self._script(lua.GET, conversation_id, turn_id))[0]
            if not found:
                return None
            record = load(found)
            change(record)
            if await self._save(record, [], meta_of(found)[5]) == 1:
                return record

    async def history(self, conversation_id: str, *, tokens: int, before: int | None = None) -> list[TurnRecord]:
        edge = "+inf" if before is None else f"({before}"
        return fitting(await self._script(lua.HISTORY, conversation_id, edge, tokens), tokens)

    async def turns(
        self,
        *,
        conversation_id: str | None = None,
        since: float = 0.0,
        newest_first: bool = False,
        bodies: bool = True,
    ) -> AsyncIterator[TurnRecord]:
        places = await self._places(conversation_id, since)
        places.sort(reverse=newest_first)
        for start in range(0, len(places), PAGE):
            for record in await self._page(places[start : start + PAGE]):
                if record.started_at >= since:
                    if not bodies:
                        record.messages, record.frames = b"", []
                    yield record

    async def _places(self, conversation_id: str | None, since: float) -> list[tuple[float, str, str]]:
        """Return (position, conversation id, turn id) of every turn of a conversation.

        Without a conversation id, return every turn of all conversations that had a turn since `since`.
        """
        if conversation_id is not None:
            names = [conversation_id]
        else:
            names = await self._spoken(since)
        places: list[tuple[float, str, str]] = []
        for start in range(0, len(names), PAGE):
            some = names[start : start + PAGE]
            found = await self._run(*[("ZRANGE", keys_of(name)[5], 0, -1, "WITHSCORES") for name in some])
            for name, scores in zip(some, found, strict=True):
                places += [(float(score), name, turn.decode()) for turn, score in two_by_two(scores)]
        return places

    async def _page(self, places: list[tuple[float, str, str]]) -> list[TurnRecord]:
        wanted: dict[str, list[str]] = {}
        for _, name, turn_id in places:
            wanted.setdefault(name, []).append(turn_id)
        found: dict[tuple[str, str], TurnRecord] = {}
        for name, turn_ids in wanted.items():
            loaded = [load(turn) for turn in await self._script(lua.GET, name, *turn_ids) if turn]
            found |= {record.key: record for record in loaded}
        return [found[name, turn_id] for _, name, turn_id in places if (name, turn_id) in found]

    async def unfinished(self, *, since: float) -> AsyncIterator[TurnRecord]:
        names = await self._spoken(since)
        for start in range(0, len(names), PAGE):
            some = names[start : start + PAGE]
            metas = await self._run(*[("HGETALL", keys_of(name)[0]) for name in some])
            for name, meta in zip(some, metas, strict=True):
                running = [turn.decode() for turn, line in meta.items() if line.startswith(b"running ")]
                found = await self._script(lua.GET, name, *running) if running else ()
                for record in readable(load, filter(None, found)):
                    if record.started_at >= since:
                        record.messages, record.frames = b"", []
                        yield record

    # --- conversations

    async def conversation(self, conversation_id: str) -> Conversation:
        state, metadata = await self._run(*[("HGETALL", key) for key in keys_of(conversation_id)[6:8]])
        return Conversation(conversation_id, fields(state), fields(metadata))

    async def establish(self, conversation_id: str, metadata: dict[str, Json]) -> None:
        await self._merge(conversation_id, {}, metadata)

    async def save_state(
        self,
        conversation_id: str,
        state: dict[str, Json],
        *,
        turn_id: str | None = None,
        based_on: Mapping[str, Json] | None = None,
    ) -> bool:
        return await self._merge(conversation_id, state, {}, turn_id, based_on)

    async def _merge(
        self,
        conversation_id: str,
        state: dict[str, Json],
        metadata: dict[str, Json],
        turn_id: str | None = None,
        based_on: Mapping[str, Json] | None = None,
    ) -> bool:
        now = time.time()
        needed = (0, "") if turn_id is None else (1, turn_id)
        fields = (*needed, self._keep, repr(now), len(state), *triples(state, based_on), *triples(metadata))
        # A conversation with a turn is already in the index SPOKEN.
        listed = () if turn_id is not None else (("ZADD", ESTABLISHED, now, conversation_id),)
        merged = await self._script(lua.MERGE, conversation_id, *fields, around=listed)
        if merged == CHANGED:
            raise StateChangedError(f"Another turn has changed the state of {conversation_id!r}.")
        return bool(merged)

    async def conversations(self, *, limit: int = 50) -> list[Summary]:
        found: list[Summary] = []
        start = 0
        # Read further pages if needed, because some of the indexed conversations may have expired.
        while len(found) < limit:
            names = (await self._run(("ZREVRANGE", SPOKEN, start, start + PAGE - 1)))[0]
            if not names:
                break
            found += await self._summaries([name.decode() for name in names])
            start += PAGE
        return found[:limit]

    async def _summaries(self, names: list[str]) -> list[Summary]:
        commands: list[Command] = []
        for name in names:
            keys = keys_of(name)
            commands += [("HMGET", keys[8], "agent", "started_at", "last_at"), ("ZCARD", keys[4])]
        pairs = zip(names, two_by_two(await self._run(*commands)), strict=True)
        return [
            Summary(name, agent.decode(), turns, float(first), float(last))
            for name, ((agent, first, last), turns) in pairs
            if agent
        ]

    async def established(self) -> list[str]:
        listed = [name.decode() for name in (await self._run(("ZRANGE", ESTABLISHED, 0, -1)))[0]]
        return list(dict.fromkeys(listed + await self._spoken_with_fields()))

    async def _spoken_with_fields(self) -> list[str]:
        """Return the ids of the conversations that have turns, and also have state or metadata."""
        found, names = [], await self._spoken(0.0)
        for start in range(0, len(names), PAGE):
            some = names[start : start + PAGE]
            lengths = await self._run(*[("HLEN", key) for name in some for key in keys_of(name)[6:8]])
            found += [name for name, counts in zip(some, two_by_two(lengths), strict=True) if any(counts)]
        return found

    async def forget(self, conversation_id: str) -> int:
        await jobs.forget(self._link, conversation_id)
        gone = max(await self._forget(conversation_id, ""), 0)
        # Delete the jobs again: before the turns were deleted, another worker may have enqueued a job for one of them.
        await jobs.forget(self._link, conversation_id)
        return gone

    async def _forget(self, conversation_id: str, before: str) -> int:
        """Delete a conversation; return its number of turns. If it was used since `before`, keep it and return -1."""
        gone = int(await self._script(lua.FORGET, conversation_id, before))
        if gone >= 0:
            await self._leave_indexes(conversation_id)
        return gone

    async def _leave_indexes(self, conversation_id: str) -> None:
        """Remove a deleted conversation from the indexes, unless another worker has written to it meanwhile."""
        leave: list[Command] = [("ZREM", SPOKEN, conversation_id), ("ZREM", ESTABLISHED, conversation_id)]
        *_, times = await self._run(*leave, ("HMGET", keys_of(conversation_id)[8], "last_at", "touched_at"))
        indexes = zip((SPOKEN, ESTABLISHED), times, strict=True)
        again: list[Command] = [("ZADD", index, "GT", at, conversation_id) for index, at in indexes if at]
        if again:
            await self._run(*again)

    async def prune(self, before: float) -> int:
        gone = 0
        for index in (SPOKEN, ESTABLISHED):
            for name in (await self._run(("ZRANGEBYSCORE", index, "-inf", f"({before!r}")))[0]:
                taken = await self._forget(name.decode(), repr(before))
                if taken >= 0:
                    gone += taken
                    await jobs.forget(self._link, name.decode())
        return gone

    # --- totals

    async def add_totals(self, key: str, amounts: Mapping[str, float], *, request_id: str = "") -> dict[str, float]:
        return await jobs.add_totals(self._link, key, amounts, request_id or uuid4().hex)

    async def totals(self, prefix: str) -> dict[str, dict[str, float]]:
        return await jobs.totals(self._link, prefix)

    async def drop_totals(self, prefix: str, *, before: str) -> None:
        await jobs.drop_totals(self._link, prefix, before)

    # --- other workers

    async def alive(self, owner: str) -> bool:
        return owner == self.owner or await self._worker.alive(owner)

    async def signal(self, owner: str, signal: Signal) -> None:
        if owner == self.owner:
            self._worker.receive(signal)
        else:
            await self._worker.send(owner, signal)

    def on_signal(self, receive: Callable[[Signal], None]) -> None:
        self._worker.receive = receive

    # --- jobs

    async def enqueue(self, job: Job) -> bool:
        return await jobs.enqueue(self._link, job)

    async def lease(self, *, now: float, seconds: float, only: Sequence[str] = ()) -> Job | None:
        return await jobs.lease(self._link, now, seconds, only)

    async def pending_jobs(self) -> list[Job]:
        return await jobs.pending(self._link)

    async def is_pending(self, job: Job) -> bool:
        return await jobs.is_pending(self._link, job)

    async def renew(self, job: Job, *, until: float) -> None:
        await jobs.renew(self._link, job, until)

    async def save_attempt(self, job: Job) -> None:
        await jobs.save_attempt(self._link, job)

    async def settle(self, job: Job, *, retry_at: float | None = None) -> None:
        await jobs.settle(self._link, job, retry_at)
