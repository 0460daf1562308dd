"""The journal in PostgreSQL, for workers on many machines, and for teams that query it with SQL.

`docs/postgres.md` documents the tables. The server's `synchronous_commit` determines the durability of a commit.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import psycopg
from loguru import logger

from ...exceptions import StoreError
from ..record import Json, Status, TurnRecord, assign
from ..record_json import dump_frames, dump_head, from_json, load_record, to_json
from . import postgres_jobs as jobs
from . import postgres_schema as schema
from .base import (
    LEAST_TOKENS,
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
from .history_steps import first_of
from .postgres_link import Link, Rows, Statement, component_of
from .postgres_text import restored, restored_json, storable, storable_json
from .postgres_worker import Worker

PAGE = 200
CHANGED = 3
"""The result of `_SAVE_UNCHANGED` if the stored state has other values than the changes are based on."""
PRUNE_BATCH = 10
"""Number of conversations that `prune` deletes in one transaction."""
_WHOLE = "position, status, owner, attempt, revision, head, messages, frames"
_HEADS = "position, status, owner, attempt, revision, head, ''::bytea, ''::bytea"
_BEGIN = "SELECT layercode.begin_turn(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::json, %s)"
_CLAIM = "SELECT layercode.claim_turn(%s, %s, %s, %s, %s, %s)"
_SAVE_TURN = "layercode.save_turn(%s, %s, %s, %s, %s, %s, %s, %s::json, %s, %s, %s::text[], %s::bytea[], %s)"
_SAVE = f"SELECT {_SAVE_TURN}"
_STATUS = "SELECT status FROM layercode.turns WHERE conversation_id = %s AND turn_id = %s"
_MERGE = "SELECT layercode.merge_fields(%s, %s, %s::text[], %s::bytea[], %s)"
_MERGE_AFTER_TURN = f"""
{_MERGE} FROM (
    SELECT 1 FROM layercode.conversations AS c WHERE c.conversation_id = %s AND EXISTS (
        SELECT 1 FROM layercode.turns AS t WHERE t.conversation_id = c.conversation_id AND t.turn_id = %s
    ) FOR UPDATE
) AS locked
"""  # noqa: S608
"""Like `_MERGE`, but only if the turn is stored. It first locks the row of the conversation, as `forget` does. So no
fields are written while `forget` deletes the conversation."""
_LOCK = "SELECT 1 FROM layercode.conversations WHERE conversation_id = %s FOR UPDATE"
_CHANGED = """
SELECT EXISTS (
    SELECT 1 FROM unnest(%s::text[], %s::bytea[], %s::bytea[]) AS n (name, value, before)
    JOIN layercode.fields AS f ON f.conversation_id = %s AND f.part = 'state' AND f.name = n.name
    WHERE f.value <> n.value AND f.value IS DISTINCT FROM n.before
) AS changed
"""
"""Whether a field of the state has neither its new value nor the value before. An earlier statement of the transaction
must lock the row of the conversation, because a statement reads only what was committed before it began."""
_SAVE_UNCHANGED = f"""
SELECT CASE WHEN changed AND EXISTS (
    SELECT 1 FROM layercode.turns WHERE conversation_id = %s AND turn_id = %s AND owner = %s
    AND (status = 'running' OR %s <> 'running') AND save_token IS DISTINCT FROM %s
) THEN 3 ELSE {_SAVE_TURN} END FROM ({_CHANGED}) AS found
"""  # noqa: S608
"""Like `_SAVE`, but return 3 if fields have changed, unless the turn would not be written anyway."""
_FORGET = "SELECT layercode.forget(%s, %s)"
_FIELDS = "SELECT part, name, value FROM layercode.fields WHERE conversation_id = %s"
_GET = f"SELECT {_WHOLE} FROM layercode.turns WHERE conversation_id = %s AND turn_id = %s"  # noqa: S608
_HISTORY = """
SELECT position, status, owner, attempt, revision, head, messages, ''::bytea, tokens FROM (
    SELECT *, sum(tokens) OVER newest AS used, row_number() OVER newest AS number FROM layercode.turns
    WHERE conversation_id = %s AND speaking AND position < {before}
    WINDOW newest AS (ORDER BY position DESC) ORDER BY position DESC LIMIT %s
) AS found WHERE used <= %s OR number = 1 ORDER BY position
"""
_EARLIER = _HISTORY.format(before="(SELECT position FROM layercode.turns WHERE conversation_id = %s AND turn_id = %s)")
_BEFORE = _HISTORY.format(before="coalesce(%s, 9223372036854775807)")
_LIST = """
SELECT c.conversation_id, c.agent, t.spoken, c.started_at, c.last_at
FROM (SELECT * FROM layercode.conversations WHERE last_at IS NOT NULL ORDER BY last_at DESC LIMIT %s) AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS spoken FROM layercode.turns WHERE conversation_id = c.conversation_id AND speaking
) AS t ORDER BY c.last_at DESC
"""
_SIZE = """
SELECT (SELECT count(*) FROM layercode.turns),
    (SELECT count(*) FROM layercode.conversations WHERE last_at IS NOT NULL),
    (SELECT min(started_at) FROM layercode.turns),
    (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
        WHERE relnamespace = 'layercode'::regnamespace AND relkind = 'r')
"""
_SILENT = "SELECT conversation_id FROM layercode.conversations WHERE coalesce(last_at, touched_at) < %s"
_EDGE = "SELECT min(position), max(position) FROM layercode.turns WHERE started_at >= %s"
_PAGE = """
SELECT {columns} FROM layercode.turns
WHERE position {direction} %s AND position BETWEEN %s AND %s AND started_at >= %s {only}
ORDER BY position {order} LIMIT %s
"""


_UNFINISHED = f"""
SELECT {_HEADS} FROM layercode.turns WHERE started_at >= %s AND status = 'running' ORDER BY position
"""  # noqa: S608


class PostgresStore(Store):
    """A journal in the PostgreSQL database at `url`, in its schema `layercode`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: Link | None = None
        self.component = component_of(url)
        self._worker = Worker()

    async def open(self) -> None:
        link = Link(self._url)
        try:
            await self._prepare(link)
            await self._worker.start(link)
        except BaseException:
            await link.close()
            raise
        self._opened = link
        self.owner = self._worker.owner

    async def _prepare(self, link: Link) -> None:
        try:
            connection = await link.connect()
            try:
                await schema.prepare(connection)
            finally:
                await connection.close()
        except (psycopg.Error, OSError) as error:
            raise link.explain(error) from error

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
        await self._link.run("", ("INSERT INTO layercode.signals (owner, body) VALUES ('', '')", ()))

    async def size(self) -> Size:
        ((turns, conversations, oldest, size),) = await self._link.read(_SIZE, ())
        return Size(turns, conversations, oldest, size)

    async def _run(self, conversation_id: str, *statements: Statement) -> list[Rows]:
        return await self._link.run(storable(conversation_id), *statements)

    # --- turns

    async def begin(self, record: TurnRecord, *, history_tokens: int) -> Begun:
        record.owner = self.owner
        c, t = storable(record.conversation_id), storable(record.turn_id)
        speaking = record.kind in SPEAKING_KINDS
        body = (record.started_at, tokens_of(record), storable_json(dump_head(record)), record.messages)
        row = (c, t, record.kind, speaking, storable(record.agent), self.owner, uuid4().hex, *body)
        history = (c, c, t, _most_turns(history_tokens), history_tokens)
        ((outcome,),), known, past, fields = await self._run(
            record.conversation_id, (_BEGIN, row), (_GET, (c, t)), (_EARLIER, history), (_FIELDS, (c,))
        )
        stored = _load(known[0])
        if outcome == "known":
            return Begun("finished" if stored.finished else "running", stored)
        record.position = stored.position
        turns = _stepped(past, history_tokens)
        displaced = [turn for turn in turns if not turn.finished]
        return Begun("new", record, turns, displaced, _fields(fields, "state"), _fields(fields, "metadata"))

    async def claim(self, record: TurnRecord) -> bool:
        c, t = storable(record.conversation_id), storable(record.turn_id)
        row = (c, t, record.owner, record.attempt, self.owner, uuid4().hex)
        claimed, found = await self._run(record.conversation_id, (_CLAIM, row), (_GET, (c, t)))
        if claimed[0][0]:
            assign(record, _load(found[0]))
        return bool(claimed[0][0])

    async def save(
        self, record: TurnRecord, *, state: dict[str, Json] | None = None, based_on: Mapping[str, Json] | None = None
    ) -> bool:
        saved = await self._save(record, state or {}, None, based_on)
        if saved == CHANGED:
            raise StateChangedError(f"Another turn has changed the state of {record.conversation_id!r}.")
        if saved == 0:
            logger.warning("Turn {} was not saved: another worker owns it, or it was deleted.", record.turn_id)
        return saved == 1

    async def _save(
        self,
        record: TurnRecord,
        state: dict[str, Json],
        revision: int | None,
        based_on: Mapping[str, Json] | None = None,
    ) -> int:
        token = uuid4().hex
        ids = (storable(record.conversation_id), storable(record.turn_id), record.owner, revision, token)
        body = (storable_json(dump_head(record)), record.messages, dump_frames(record))
        row = (*ids, record.status, tokens_of(record), *body, *_columns(state), time.time())
        save: list[Statement] = [(_SAVE, row)]
        if state and based_on is not None:
            writable = (*ids[:3], record.status, token)
            save = [(_LOCK, ids[:1]), (_SAVE_UNCHANGED, (*writable, *row, *_checked(ids[0], state, based_on)))]
        if record.finished:
            return int((await self._run(record.conversation_id, *save))[-1][0][0])
        *_, saved, known = await self._run(record.conversation_id, *save, (_STATUS, ids[:2]))
        overtaken = bool(known) and known[0][0] != "running"
        return 2 if overtaken and saved[0][0] == 1 else int(saved[0][0])

    async def get(self, conversation_id: str, turn_id: str) -> TurnRecord | None:
        rows = await self._get(conversation_id, turn_id)
        return _load(rows[0]) if rows else None

    async def _get(self, conversation_id: str, turn_id: str) -> Rows:
        return (await self._run(conversation_id, (_GET, (storable(conversation_id), storable(turn_id)))))[0]

    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        while True:
            rows = await self._get(conversation_id, turn_id)
            if not rows:
                return None
            record = _load(rows[0])
            change(record)
            if await self._save(record, {}, rows[0][4]) == 1:
                return record

    async def history(self, conversation_id: str, *, tokens: int, before: int | None = None) -> list[TurnRecord]:
        row = (storable(conversation_id), before, _most_turns(tokens), tokens)
        return _stepped((await self._run(conversation_id, (_BEFORE, row)))[0], tokens)

    async def turns(
        self,
        *,
        conversation_id: str | None = None,
        since: float = 0.0,
        newest_first: bool = False,
        bodies: bool = True,
    ) -> AsyncIterator[TurnRecord]:
        ((first, last),) = await self._link.read(_EDGE, (since,))
        if first is None:
            return
        text = _PAGE.format(
            columns=_WHOLE if bodies else _HEADS,
            direction="<" if newest_first else ">",
            order="DESC" if newest_first else "ASC",
            only="" if conversation_id is None else "AND conversation_id = %s",
        )
        only = () if conversation_id is None else (storable(conversation_id),)
        after = last + 1 if newest_first else first - 1
        while rows := await self._link.read(text, (after, first, last, since, *only, PAGE)):
            for row in rows:
                yield _load(row)
            after = rows[-1][0]

    async def unfinished(self, *, since: float) -> AsyncIterator[TurnRecord]:
        for record in readable(_load, await self._link.read(_UNFINISHED, (since,))):
            yield record

    # --- conversations

    async def conversation(self, conversation_id: str) -> Conversation:
        fields = (await self._run(conversation_id, (_FIELDS, (storable(conversation_id),))))[0]
        return Conversation(conversation_id, _fields(fields, "state"), _fields(fields, "metadata"))

    async def establish(self, conversation_id: str, metadata: dict[str, Json]) -> None:
        await self._merge(conversation_id, "metadata", metadata)

    async def save_state(
        self,
        conversation_id: str,
        state: dict[str, Json],
        *,
        turn_id: str | None = None,
        based_on: Mapping[str, Json] | None = None,
    ) -> bool:
        return await self._merge(conversation_id, "state", state, turn_id, based_on)

    async def _merge(
        self,
        conversation_id: str,
        part: str,
        values: dict[str, Json],
        turn_id: str | None = None,
        based_on: Mapping[str, Json] | None = None,
    ) -> bool:
        name = storable(conversation_id)
        row = (name, part, *_columns(values), time.time())
        after = () if turn_id is None else (name, storable(turn_id))
        text = _MERGE_AFTER_TURN if after else _MERGE
        if based_on is None:
            return bool((await self._run(conversation_id, (text, row + after)))[0])
        checked = _checked(name, values, based_on)
        merge = (f"{text} WHERE NOT ({_CHANGED})", (*row, *after, *checked))
        known = (_STATUS, (name, storable(turn_id or "")))
        _, merged, turn = await self._run(conversation_id, (_LOCK, (name,)), merge, known)
        if not merged and (turn or turn_id is None):
            raise StateChangedError(f"Another turn has changed the state of {conversation_id!r}.")
        return bool(merged)

    async def conversations(self, *, limit: int = 50) -> list[Summary]:
        rows = await self._link.read(_LIST, (limit,))
        return [Summary(restored(name), restored(agent), *rest) for name, agent, *rest in rows]

    async def established(self) -> list[str]:
        rows = await self._link.read("SELECT DISTINCT conversation_id FROM layercode.fields", ())
        return [restored(name) for (name,) in rows]

    async def forget(self, conversation_id: str) -> int:
        return await self._forget([storable(conversation_id)], None)

    async def _forget(self, names: list[str], before: float | None) -> int:
        rows = await self._link.run(min(names), *[(_FORGET, (name, before)) for name in sorted(names)])
        return sum(int(gone) for ((gone,),) in rows)

    async def prune(self, before: float) -> int:
        gone, silent = 0, [name for (name,) in await self._link.read(_SILENT, (before,))]
        # Delete in small batches: deleting a month of calls in one transaction would stall the calls in progress.
        for start in range(0, len(silent), PRUNE_BATCH):
            gone += await self._forget(silent[start : start + PRUNE_BATCH], before)
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


def _most_turns(tokens: int) -> int:
    return max(tokens // LEAST_TOKENS, 1)


def _load(row: tuple[Any, ...]) -> TurnRecord:
    position, status, owner, attempt, _, head, messages, frames = row
    record = load_record(restored_json(head), position=position, messages=messages, frames=frames)
    record.status, record.owner, record.attempt = Status(status), owner, attempt
    return record


def _stepped(rows: Rows, tokens: int) -> list[TurnRecord]:
    """Return the turns of the history, oldest first. `rows` are the newest turns that fit the token budget."""
    turns = [_load(row[:-1]) for row in rows]
    starts = [turn.history_start for turn in reversed(turns)]
    return turns[first_of([turn.position for turn in turns], [row[-1] for row in rows], starts, tokens) :]


def _columns(values: dict[str, Json]) -> tuple[list[str], list[bytes]]:
    return [storable(name) for name in values], [to_json(value) for value in values.values()]


def _checked(conversation_id: str, state: dict[str, Json], based_on: Mapping[str, Json]) -> tuple[Any, ...]:
    """Return the parameters of `_CHANGED`."""
    before = [to_json(based_on[name]) if name in based_on else None for name in state]
    return *_columns(state), before, conversation_id


def _fields(rows: Rows, part: str) -> dict[str, Json]:
    return {restored(name): from_json(value) for found, name, value in rows if found == part}
