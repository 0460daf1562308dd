"""Jobs and totals in the Redis journal. All jobs are in one cluster slot; all totals are in another.

A time that is passed to a Lua script is passed together with the host's current time. The script compares the host's
current time with the clock of Redis, and corrects the passed time by the difference. So the hosts' clocks need not
agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote
from uuid import uuid4

from .. import steady_clock
from ..record_json import build, from_json, to_json
from . import redis_scripts as lua
from .base import Job
from .redis_link import Link
from .sqlite_jobs import KEEP_DONE_SECONDS

_TOTALS = "layercode:{totals}"


def _keys(conversation_id: str) -> list[str]:
    return [f"layercode:{{jobs}}:{part}" for part in ("due", "body", "done", f"of:{quote(conversation_id, safe='')}")]


def _once() -> str:
    """Return a new key for one call of a script. If that call is sent again, its first result is under this key."""
    return f"layercode:{{jobs}}:once:{uuid4().hex}"


async def enqueue(link: Link, job: Job) -> bool:
    """Enqueue a job; return false if a job with its id was enqueued before."""
    keys = [*_keys(job.conversation_id), _once()]
    return bool(await link.script(lua.ENQUEUE, keys, steady_clock.now(), job.id, to_json(job), job.due_at))


async def lease(link: Link, now: float, seconds: float, only: Sequence[str]) -> Job | None:
    """Lease the next due job until `now + seconds`. With `only`, its id must begin with one of these prefixes."""
    body = await link.script(lua.LEASE, [*_keys("")[:2], _once()], steady_clock.now(), now, now + seconds, *only)
    return build(Job, from_json(body)) if body else None


async def pending(link: Link) -> list[Job]:
    """Return the jobs that are not done, leased ones included."""
    return [build(Job, from_json(body)) for body in (await link.run(("HVALS", _keys("")[1])))[0]]


async def is_pending(link: Link, job: Job) -> bool:
    """Return whether a job is stored and not done."""
    return bool((await link.run(("HEXISTS", _keys("")[1], job.id)))[0])


async def renew(link: Link, job: Job, until: float) -> None:
    """Extend the lease of a job to `until`, unless the job is done."""
    await link.script(lua.RENEW, _keys("")[:1], steady_clock.now(), job.id, until)


async def save_attempt(link: Link, job: Job) -> None:
    """Save the `attempts` and `error` of a leased job, unless the job is done."""
    await link.script(lua.SAVE_ATTEMPT, _keys("")[1:2], job.id, to_json(job))


async def settle(link: Link, job: Job, retry_at: float | None) -> None:
    """Mark a job as done, or reschedule it for `retry_at`."""
    if retry_at is not None:
        job.due_at = retry_at
    due = "" if retry_at is None else retry_at
    keys = _keys(job.conversation_id)
    await link.script(lua.SETTLE, keys, steady_clock.now(), job.id, to_json(job), due, KEEP_DONE_SECONDS)


async def forget(link: Link, conversation_id: str) -> None:
    """Delete the jobs of a conversation, done ones included."""
    await link.script(lua.FORGET_JOBS, _keys(conversation_id))


# --- totals


async def add_totals(link: Link, key: str, amounts: Mapping[str, float], request_id: str) -> dict[str, float]:
    """Add amounts to the totals of a key, unless a call with this `request_id` has done it; return the totals."""
    pairs = [part for name, amount in amounts.items() for part in (name, repr(float(amount)))]
    keys = [f"{_TOTALS}:keys", f"{_TOTALS}:of:{key}", f"{_TOTALS}:once:{request_id}"]
    return _amounts(await link.script(lua.ADD_TOTALS, keys, key, *pairs))


async def totals(link: Link, prefix: str) -> dict[str, dict[str, float]]:
    """Return the totals of every key that begins with `prefix`, sorted by key."""
    keys = await _keys_from(link, prefix)
    answers = await link.run(*[("HGETALL", f"{_TOTALS}:of:{key}") for key in keys])
    return {key: _amounts(flat) for key, flat in zip(keys, answers, strict=True) if flat}


async def drop_totals(link: Link, prefix: str, before: str) -> None:
    """Delete the totals of each key that begins with `prefix` and sorts before the key `before`."""
    for key in await _keys_from(link, prefix):
        if key < before:
            await link.run(("DEL", f"{_TOTALS}:of:{key}"), ("ZREM", f"{_TOTALS}:keys", key))


async def _keys_from(link: Link, prefix: str) -> list[str]:
    first = b"[" + prefix.encode() if prefix else b"-"
    last = b"[" + prefix.encode() + b"\xff" if prefix else b"+"
    return [key.decode() for key in (await link.run(("ZRANGEBYLEX", f"{_TOTALS}:keys", first, last)))[0]]


def _amounts(flat: list[bytes] | dict[bytes, bytes]) -> dict[str, float]:
    pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): float(amount) for name, amount in pairs}
