"""Jobs keep the trace of the turn that enqueued them, and no error ends the loop that leases them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from loguru import logger
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from layercode_app.exceptions import StoreError
from layercode_app.jobs import queue
from layercode_app.jobs.queue import Jobs
from layercode_app.journal.record_json import to_json
from layercode_app.journal.stores.base import Job, Store

from ..waiting import until

pytestmark = pytest.mark.anyio

TRACE_ID = 0x0123456789ABCDEF0123456789ABCDEF


async def test_a_job_goes_on_with_the_trace_in_which_it_was_enqueued(store: Store) -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def work(job: Job) -> None:
        seen.put_nowait(trace.get_current_span().get_span_context().trace_id)

    jobs = Jobs(store, work)
    parent = SpanContext(TRACE_ID, 7, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with trace.use_span(NonRecordingSpan(parent)):
        await jobs.enqueue(Job("job-1", "work", "agent", {}))
    jobs.start()
    try:
        assert await asyncio.wait_for(seen.get(), 100) == TRACE_ID
    finally:
        await jobs.drain(1)


async def test_jobs_of_a_newer_release_and_errors_do_not_end_the_loop(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)
    ran: list[str] = []

    async def run(job: Job) -> None:
        ran.append(job.id)

    lease, failures = store.lease, iter([ValueError("no")])

    async def fail_once(**given: object) -> Job | None:
        if error := next(failures, None):
            raise error
        return await lease(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "lease", fail_once)
    newer = {"id": "newer", "name": "task", "agent": "a", "payload": {}, "priority": 1}
    with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
        db.execute("INSERT INTO jobs VALUES ('newer', 'c', 0, 0, NULL, ?)", (to_json(newer),))
    jobs = Jobs(store, run)
    jobs.start()
    await until(lambda: ran == ["newer"])
    await jobs.drain(5)


@pytest.mark.parametrize("error", [StoreError("away"), ValueError("away")])
async def test_only_the_first_failure_of_an_outage_is_logged(
    error: Exception, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.001)
    lease, lines, asked = store.lease, list[str](), list[dict[str, object]]()

    async def fail(**given: object) -> Job | None:
        asked.append(given)
        if len(asked) == 5:
            return await lease(**given)  # type: ignore[arg-type]
        raise error

    monkeypatch.setattr(store, "lease", fail)
    jobs = Jobs(store, lambda job: asyncio.sleep(0, None))
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    jobs.start()
    await until(lambda: len(asked) > 10)
    await jobs.drain(5)
    logger.remove(sink)
    assert len(lines) == 2
