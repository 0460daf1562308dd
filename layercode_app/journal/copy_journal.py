"""Copy a journal into another store, and compare the copy.

Every write can be repeated, so an interrupted copy can be completed by calling `copy_journal` again. Positions and
owners are specific to each store, so they are not compared.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from .record import Json, Status, TurnRecord, clone
from .record_json import dump_frames, dump_head, from_json, sorted_json
from .stores.base import Store
from .stores.history_steps import SUMMARY

BATCH = 100
"""Maximum number of turns that are written concurrently; a batch has at most one turn of each conversation."""
DEAD_AFTER_SECONDS = 5.0
"""Maximum wait for the owner of a turn in the target to die.

If an earlier run of the copy was killed, it counts as dead by then. An owner that is still alive after this time is a
server.
"""
UNFINISHED = "layercode:copy:"
"""How the id of a temporary conversation begins, which the target has until the copy is complete.

Its state holds the totals that the target had before the copy. If the copy is interrupted and repeated, they show which
totals of the source were already added.
"""


@dataclass(slots=True)
class Copied:
    """The result of a copy.

    `different` lists the (conversation id, turn id) of turns that differ from the source. The turn id is empty if the
    conversation's state or metadata differs.
    """

    turns: int = 0
    already: int = 0
    """How many of the turns the target already had."""
    conversations: int = 0
    jobs: int = 0
    totals: int = 0
    newer: int = 0
    """How many conversations have newer turns in the target; their state and metadata there were not changed."""
    running: int = 0
    """How many turns were running in the source; their copies may be outdated."""
    different: list[tuple[str, str]] = field(default_factory=list)


def digest(record: TurnRecord) -> str:
    """Return the SHA-256 of a record without its positions, owner and attempt, which are specific to each store."""
    head = from_json(dump_head(record))
    for name in ("owner", "attempt", "history_start"):
        head.pop(name, None)
    head["tasks"] = _without_summary(record.tasks)
    parts = (sorted_json(head), record.messages, dump_frames(record))
    return sha256(b"\0".join(parts)).hexdigest()


async def copy_journal(source: Store, target: Store, *, step: Callable[[], None] = lambda: None) -> Copied:
    """Copy a journal, then read the copy back and compare it with the source. Raises StoreError.

    `step` is called twice for each turn: after it was copied, and after it was compared.
    """
    copied = Copied()
    unfinished = await _unfinished(source)
    await _copy_totals(source, target, unfinished, copied)
    async for batch in _batches(source):
        done = await asyncio.gather(*[_write(target, record) for record in batch])
        copied.turns += len(batch)
        copied.already += len(done) - sum(done)
        copied.running += sum(not record.finished for record in batch)
        for _ in batch:
            step()
    await _copy_fields(source, target, copied)
    await _copy_jobs(source, target, copied)
    await target.forget(unfinished)
    await _compare(source, target, copied, step)
    return copied


async def _write(target: Store, record: TurnRecord) -> bool:
    """Write a turn to the target; return false if the target already had it, or another process is writing it."""
    started = clone(record)
    started.status = Status.RUNNING
    begun = await target.begin(started, history_tokens=0)
    if begun.outcome == "finished":
        return False
    stored = begun.record
    if stored.owner != target.owner and not await _taken_over(target, stored):
        return False
    complete = clone(record)
    complete.history_start = 0
    complete.tasks = _without_summary(record.tasks)
    complete.owner, complete.attempt, complete.position = stored.owner, stored.attempt, stored.position
    await target.save(complete)
    return True


def _without_summary(tasks: list[Json]) -> list[Json]:
    """Return the tasks without the task that summarises the call.

    That task contains the position of a turn in the source, and positions differ in the target. The conversation's next
    turn adds a new task.
    """
    return [task for task in tasks if task["task"] != SUMMARY]


async def _taken_over(target: Store, stored: TurnRecord) -> bool:
    """Claim a turn that another process began to write to the target; return false if that process is still running.

    That process may be an earlier run of the copy that was killed. A killed process may seem alive until its lease
    ends, so wait up to `DEAD_AFTER_SECONDS`.
    """
    deadline = time.monotonic() + DEAD_AFTER_SECONDS
    while await target.alive(stored.owner):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return await target.claim(stored)


async def _copy_fields(source: Store, target: Store, copied: Copied) -> None:
    for conversation_id in await source.established():
        if await _went_on(source, target, conversation_id):
            copied.newer += 1
            continue
        kept = await source.conversation(conversation_id)
        if kept.state:
            if (summary := kept.state.get(SUMMARY)) is not None:
                # Turns have different positions in the target, so the summary is marked as covering none of them yet.
                kept.state[SUMMARY] = summary | {"until": 0}
            await target.save_state(conversation_id, kept.state)
        if kept.metadata:
            await target.establish(conversation_id, kept.metadata)
        copied.conversations += 1


async def _went_on(source: Store, target: Store, conversation_id: str) -> bool:
    """Return whether the target's newest turn of this conversation is missing in the source."""
    newest = await target.history(conversation_id, tokens=0)
    return bool(newest) and await source.get(*newest[-1].key) is None


async def _copy_jobs(source: Store, target: Store, copied: Copied) -> None:
    for job in await source.pending_jobs():
        if job.payload.get("task") != SUMMARY:
            await target.enqueue(job)
            copied.jobs += 1


async def _unfinished(source: Store) -> str:
    """Return the id of the temporary conversation for the copy of this source. Another source has another id."""
    async for record in source.turns(bodies=False):
        return UNFINISHED + sha256("\0".join(record.key).encode("utf-8", "surrogatepass")).hexdigest()
    return UNFINISHED


async def _copy_totals(source: Store, target: Store, unfinished: str, copied: Copied) -> None:
    """Add the totals of the source to the totals of the target. After an earlier copy, add only the missing part.

    Totals of the target are never lowered: since an earlier copy, servers may have counted calls there.
    """
    before, now = await _totals_before(source, target, unfinished), await target.totals("")
    for key, amounts in (await source.totals("")).items():
        old, new = before.get(key, {}), now.get(key, {})
        missing = {name: amount - (new.get(name, 0.0) - old.get(name, 0.0)) for name, amount in amounts.items()}
        if missing := {name: amount for name, amount in missing.items() if amount > 0}:
            await target.add_totals(key, missing)
        copied.totals += 1


async def _totals_before(source: Store, target: Store, unfinished: str) -> dict[str, dict[str, float]]:
    """Return the totals that the target had before this source was copied; empty if they are not known.

    They are known if the source is new to the target. Then they are saved, so that they are also known if this copy is
    interrupted and repeated.
    """
    saved = (await target.conversation(unfinished)).state
    if saved:
        return dict(saved["totals"])
    if not await _is_new(source, target):
        return {}
    before = await target.totals("")
    await target.save_state(unfinished, {"totals": before})
    return before


async def _is_new(source: Store, target: Store) -> bool:
    """Return whether the source and the target both have turns, but no turn of the source is in the target.

    If the result is True, the totals of the target do not count any call of the source.
    """
    if not (await target.size()).turns:
        return False
    compared = False
    async for batch in _batches(source):
        if any(await asyncio.gather(*[target.get(*record.key) for record in batch])):
            return False
        compared = True
    return compared


async def _compare(source: Store, target: Store, copied: Copied, step: Callable[[], None]) -> None:
    async for batch in _batches(source):
        found = await asyncio.gather(*[target.get(*record.key) for record in batch])
        for record, other in zip(batch, found, strict=True):
            if other is None or (record.finished and digest(record) != digest(other)):
                copied.different.append(record.key)
            step()
    for conversation_id in await source.established():
        if await _went_on(source, target, conversation_id):
            continue
        if not _holds(
            asdict(await target.conversation(conversation_id)), asdict(await source.conversation(conversation_id))
        ):
            copied.different.append((conversation_id, ""))


def _holds(copy: Json, original: Json) -> bool:
    """Return whether the copy has every field of the original, with the same value.

    The copy may have more fields, because servers may already have used the target store for calls.
    """
    return all(sorted_json(copy[part] | original[part]) == sorted_json(copy[part]) for part in ("state", "metadata"))


async def _batches(source: Store) -> AsyncIterator[list[TurnRecord]]:
    """Yield all turns in journal order, in batches with at most one turn of each conversation."""
    batch: dict[str, TurnRecord] = {}
    async for record in source.turns():
        if record.conversation_id in batch or len(batch) >= BATCH:
            yield list(batch.values())
            batch = {}
        batch[record.conversation_id] = record
    if batch:
        yield list(batch.values())
