"""The owed jobs in the SQLite journal."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from .. import steady
from ..record_json import from_json, to_json
from .base import Job

KEEP_DONE_SECONDS = 7 * 86_400
"""How long a done job is remembered, so that a late duplicate does not owe it again."""
LONGEST_LEASE = 300.0
"""No lease lasts longer, so that a later end is one from before the host was started again."""


def _uptime(at: float) -> float:
    """An epoch time of this process as seconds since the host was started, which all its processes count alike."""
    return at - steady.STARTED


def owe(db: sqlite3.Connection, job: Job) -> bool:
    """Keep a job; false when its id is known."""
    cursor = db.execute(
        "INSERT INTO jobs (id, conversation_id, due_at, leased_until, body) VALUES (?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
        (job.id, job.conversation_id, job.due_at, to_json(job)),
    )
    return bool(cursor.rowcount)


def lease(db: sqlite3.Connection, now: float, seconds: float, only: Sequence[str]) -> Job | None:
    """The next due job whose id begins with one of `only`, kept from others until `now + seconds`."""
    uptime, longest = _uptime(now), max(seconds, LONGEST_LEASE)
    begins = " OR ".join(["substr(id, 1, ?) = ?"] * len(only)) or "1"
    row = db.execute(
        f"""SELECT id, body FROM jobs WHERE done_at IS NULL AND due_at <= ?
        AND NOT (leased_until > ? AND leased_until <= ?) AND ({begins})
        ORDER BY due_at LIMIT 1""",  # noqa: S608 - nothing but question marks
        (now, uptime, uptime + longest, *[part for prefix in only for part in (len(prefix), prefix)]),
    ).fetchone()
    if row is None:
        return None
    db.execute("UPDATE jobs SET leased_until = ? WHERE id = ?", (uptime + seconds, row[0]))
    return Job(**from_json(row[1]))


def renew(db: sqlite3.Connection, job: Job, until: float) -> None:
    """Keep a job from others until then, unless it is done."""
    db.execute("UPDATE jobs SET leased_until = ? WHERE id = ? AND done_at IS NULL", (_uptime(until), job.id))


def settle(db: sqlite3.Connection, job: Job, retry_at: float | None) -> None:
    """Mark a job done, or due again."""
    if retry_at is None:
        # Only the id is still needed; the body holds what was said.
        db.execute("UPDATE jobs SET done_at = ?, body = '' WHERE id = ?", (time.time(), job.id))
        db.execute("DELETE FROM jobs WHERE done_at < ?", (time.time() - KEEP_DONE_SECONDS,))
        return
    job.due_at = retry_at
    # Another worker may have done it, where the lease had run out: what was said does not come back then.
    db.execute(
        "UPDATE jobs SET due_at = ?, leased_until = 0, body = ? WHERE id = ? AND done_at IS NULL",
        (retry_at, to_json(job), job.id),
    )
