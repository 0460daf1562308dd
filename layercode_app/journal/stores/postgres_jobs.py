"""Jobs and totals in the PostgreSQL journal.

Times are sent as seconds from now, and the server adds them to its own clock, so the hosts' clocks need not agree. A
statement that must not be applied twice has a token, because it is sent again if its answer was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import uuid4

from .. import steady_clock
from ..record_json import build, from_json, to_json
from .base import Job
from .postgres_link import Link
from .postgres_text import restored, storable
from .sqlite_jobs import KEEP_DONE_SECONDS

_JOBS, _TOTALS = "\uffff jobs", "\uffff totals"
"""The lock keys of statements on all jobs or all totals. They sort after every conversation id."""

_ENQUEUE = """
WITH added AS (
    INSERT INTO layercode.jobs (id, conversation_id, due_at, token, body)
    VALUES (%s, %s, clock_timestamp() + %s * interval '1 second', %s, %s) ON CONFLICT DO NOTHING RETURNING 1
)
SELECT 1 FROM added UNION ALL SELECT 1 FROM layercode.jobs WHERE id = %s AND token = %s
"""
_LEASE = """
UPDATE layercode.jobs SET leased_until = clock_timestamp() + %s * interval '1 second', lease_token = %s
WHERE id = coalesce((SELECT id FROM layercode.jobs WHERE lease_token = %s AND done_at IS NULL), (
    SELECT id FROM layercode.jobs
    WHERE done_at IS NULL AND due_at <= clock_timestamp() + %s * interval '1 second'
        AND leased_until <= clock_timestamp() + %s * interval '1 second'
        AND (cardinality(%s::text[]) = 0 OR EXISTS (SELECT 1 FROM unnest(%s::text[]) p WHERE starts_with(id, p)))
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
)) RETURNING body
"""
_RENEW = """
UPDATE layercode.jobs SET leased_until = clock_timestamp() + %s * interval '1 second'
WHERE id = %s AND done_at IS NULL
"""
_SAVE_ATTEMPT = "UPDATE layercode.jobs SET body = %s WHERE id = %s AND done_at IS NULL"
_RETRY = """
UPDATE layercode.jobs
SET due_at = clock_timestamp() + %s * interval '1 second', leased_until = '-infinity', body = %s
WHERE id = %s AND done_at IS NULL
"""
# Of a done job, only the id is still needed. Empty its body, which may contain what callers said.
_DONE = "UPDATE layercode.jobs SET done_at = clock_timestamp(), body = '' WHERE id = %s"
_CLEAN = "DELETE FROM layercode.jobs WHERE done_at < clock_timestamp() - %s * interval '1 second'"

# Lock all names of a key together. Otherwise, if two workers added amounts to different names at once, neither would
# read the amount of the other.
_ADD = """
WITH first AS (INSERT INTO layercode.applied (token) VALUES (%s) ON CONFLICT DO NOTHING RETURNING token)
INSERT INTO layercode.totals (key, name, amount) SELECT %s, t.name, t.amount
FROM first CROSS JOIN pg_advisory_xact_lock(hashtextextended(%s, 0))
CROSS JOIN unnest(%s::text[], %s::double precision[]) AS t (name, amount) ORDER BY t.name
ON CONFLICT (key, name) DO UPDATE SET amount = totals.amount + excluded.amount
"""
_OF = "SELECT name, amount FROM layercode.totals WHERE key = %s"
_READ = "SELECT key, name, amount FROM layercode.totals WHERE key >= %s AND starts_with(key, %s) ORDER BY key"
_DROP = "DELETE FROM layercode.totals WHERE key < %s AND starts_with(key, %s)"


async def enqueue(link: Link, job: Job) -> bool:
    """Enqueue a job; return false if a job with its id was enqueued before."""
    key, token = storable(job.id), uuid4().hex
    row = (key, storable(job.conversation_id), _from_now(job.due_at), token, to_json(job), key, token)
    return bool((await link.run(_JOBS, (_ENQUEUE, row)))[0])


async def lease(link: Link, now: float, seconds: float, only: Sequence[str]) -> Job | None:
    """Lease the next due job until `now + seconds`. With `only`, its id must begin with one of these prefixes."""
    prefixes = [storable(prefix) for prefix in only]
    at, token = _from_now(now), uuid4().hex
    rows = (await link.run(_JOBS, (_LEASE, (at + seconds, token, token, at, at, prefixes, prefixes))))[0]
    return build(Job, from_json(rows[0][0])) if rows else None


async def pending(link: Link) -> list[Job]:
    """Return the jobs that are not done, leased ones included."""
    rows = await link.read("SELECT body FROM layercode.jobs WHERE done_at IS NULL ORDER BY due_at", ())
    return [build(Job, from_json(body)) for (body,) in rows]


async def is_pending(link: Link, job: Job) -> bool:
    """Return whether a job is stored and not done."""
    sql = "SELECT 1 FROM layercode.jobs WHERE id = %s AND done_at IS NULL"
    return bool(await link.read(sql, (storable(job.id),)))


async def renew(link: Link, job: Job, until: float) -> None:
    """Extend the lease of a job to `until`, unless the job is done."""
    await link.run(_JOBS, (_RENEW, (_from_now(until), storable(job.id))))


async def save_attempt(link: Link, job: Job) -> None:
    """Save the `attempts` and `error` of a leased job, unless the job is done."""
    await link.run(_JOBS, (_SAVE_ATTEMPT, (to_json(job), storable(job.id))))


async def settle(link: Link, job: Job, retry_at: float | None) -> None:
    """Mark a job as done, or reschedule it for `retry_at`."""
    if retry_at is None:
        await link.run(_JOBS, (_DONE, (storable(job.id),)), (_CLEAN, (KEEP_DONE_SECONDS,)))
        return
    job.due_at = retry_at
    # If the lease expired, another worker may have finished the job. Its deleted body must not be restored then.
    await link.run(_JOBS, (_RETRY, (_from_now(retry_at), to_json(job), storable(job.id))))


def _from_now(at: float) -> float:
    return at - steady_clock.now()


# --- totals


async def add_totals(link: Link, key: str, amounts: Mapping[str, float], request_id: str) -> dict[str, float]:
    """Add amounts to the totals of a key, unless a call with this `request_id` has done it; return the totals."""
    names, values = [storable(name) for name in amounts], [float(amount) for amount in amounts.values()]
    stored = storable(key)
    row = (request_id, stored, _TOTALS + stored, names, values)
    rows = await link.run(_TOTALS + stored, (_ADD, row), (_OF, (stored,)))
    return {restored(name): amount for name, amount in rows[1]}


async def totals(link: Link, prefix: str) -> dict[str, dict[str, float]]:
    """Return the totals of every key that begins with `prefix`, sorted by key."""
    found: dict[str, dict[str, float]] = {}
    stored = storable(prefix)
    for key, name, amount in (await link.run(_TOTALS, (_READ, (stored, stored))))[0]:
        found.setdefault(restored(key), {})[restored(name)] = amount
    return found


async def drop_totals(link: Link, prefix: str, before: str) -> None:
    """Delete the totals of each key that begins with `prefix` and sorts before the key `before`."""
    await link.run(_TOTALS, (_DROP, (storable(before), storable(prefix))))
