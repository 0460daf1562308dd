"""Jobs keep the trace of the turn that enqueued them."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from layercode_app.jobs.queue import Jobs
from layercode_app.journal.stores.base import Job
from layercode_app.journal.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

TRACE_ID = 0x0123456789ABCDEF0123456789ABCDEF


async def test_a_job_goes_on_with_the_trace_it_was_owed_in() -> None:
    store = MemoryStore()
    await store.open()
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
        await store.close()
