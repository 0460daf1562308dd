"""The job queue in the SQLite journal.

`leased_until` is the time from which a worker may lease the job. It is the end of the job's lease or, if the job has no
lease, the time at which the job is due. This time is given as an uptime of the host: all processes agree on the uptime,
even if some of them began while the host's clock was wrong. `due_at` is the due time by the host's clock. It is needed
after a restart of the host, which sets the uptime to 0.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from .. import steady_clock
from ..record_json import build, from_json, to_json
from .base import Job

KEEP_DONE_SECONDS = 7 * 86_400
"""How long the id of a done job is stored, so that a late duplicate does not enqueue it again."""
LONGEST_LEASE = 300.0
"""A lease that ends later than this many seconds from now is ignored, because it was made before the host restarted.

The end of a lease is stored as an uptime of the host, which a restart sets to 0. If `lease` is called with a longer
duration, that duration is the limit.
"""


def _uptime(at: float) -> float:
    """Convert a time of `steady_clock` to the host's uptime in seconds, which is the same in all processes."""
    return at - steady_clock.STARTED


def enqueue(db: sqlite3.Connection, job: Job) -> bool:
    """Enqueue a job; return false if a job with its id was enqueued before."""
    cursor = db.execute(
        "INSERT INTO jobs (id, conversation_id, due_at, leased_until, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (job.id, job.conversation_id, job.due_at, _uptime(job.due_at), to_json(job)),
    )
    return bool(cursor.rowcount)


def lease(db: sqlite3.Connection, now: float, seconds: float, only: Sequence[str]) -> Job | None:
    """Lease the next due job until `now + seconds`. With `only`, its id must begin with one of these prefixes."""
    uptime, longest = _uptime(now), max(seconds, LONGEST_LEASE)
    begins = " OR ".join(["substr(id, 1, ?) = ?"] * len(only)) or "1"
    row = db.execute(
        f"""SELECT id, body FROM jobs WHERE done_at IS NULL
        AND (leased_until BETWEEN 1 AND ? OR due_at <= ? AND NOT (leased_until > ? AND leased_until <= ?))
        AND ({begins}) ORDER BY due_at LIMIT 1""",  # noqa: S608 - only question marks are inserted
        (uptime, now, uptime, uptime + longest, *[part for prefix in only for part in (len(prefix), prefix)]),
    ).fetchone()
    if row is None:
        return None
    db.execute("UPDATE jobs SET leased_until = ? WHERE id = ?", (uptime + seconds, row[0]))
    return build(Job, from_json(row[1]))


def pending(db: sqlite3.Connection) -> list[Job]:
    """Return the jobs that are not done, leased ones included."""
    return [
        build(Job, from_json(row[0]))
        for row in db.execute("SELECT body FROM jobs WHERE done_at IS NULL ORDER BY due_at")
    ]


def is_pending(db: sqlite3.Connection, job: Job) -> bool:
    """Return whether a job is stored and not done."""
    return db.execute("SELECT 1 FROM jobs WHERE id = ? AND done_at IS NULL", (job.id,)).fetchone() is not None


def renew(db: sqlite3.Connection, job: Job, until: float) -> None:
    """Extend the lease of a job to `until`, unless the job is done."""
    db.execute("UPDATE jobs SET leased_until = ? WHERE id = ? AND done_at IS NULL", (_uptime(until), job.id))


def save_attempt(db: sqlite3.Connection, job: Job) -> None:
    """Save the `attempts` and `error` of a leased job, unless the job is done."""
    db.execute("UPDATE jobs SET body = ? WHERE id = ? AND done_at IS NULL", (to_json(job), job.id))


def settle(db: sqlite3.Connection, job: Job, retry_at: float | None) -> None:
    """Mark a job as done, or reschedule it for `retry_at`."""
    if retry_at is None:
        # Of a done job, only the id is still needed. Empty its body, which may contain what callers said.
        db.execute("UPDATE jobs SET done_at = ?, body = '' WHERE id = ?", (time.time(), job.id))
        db.execute("DELETE FROM jobs WHERE done_at < ?", (time.time() - KEEP_DONE_SECONDS,))
        return
    job.due_at = retry_at
    # If the lease expired, another worker may have finished the job. Its deleted body must not be restored then.
    db.execute(
        "UPDATE jobs SET due_at = ?, leased_until = ?, body = ? WHERE id = ? AND done_at IS NULL",
        (retry_at, _uptime(retry_at), to_json(job), job.id),
    )
