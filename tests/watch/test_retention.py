"""Retention deletes conversations that are too old, and keeps their totals."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from layercode_app import LayerCode
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores.base import Job
from layercode_app.watch import watch as watching

from ..calling import calling, settings
from ..priced import priced_agent
from ..waiting import until

pytestmark = pytest.mark.anyio


async def add_old(app: LayerCode, *, days: float) -> None:
    record = TurnRecord("old", "t", Kind.MESSAGE, "priced", started_at=time.time() - days * 86_400)
    await app.store.begin(record, history_tokens=0)
    record.status, record.usage = Status.COMPLETE, {"requests": 1, "input_tokens": 7}
    await app.store.save(record)
    app.watch.count(record)


@pytest.mark.parametrize(("retention", "left"), [(30.0, {"new"}), (0.0, {"new", "old"})])
async def test_the_server_prunes_and_the_totals_stay(tmp_path: Path, retention: float, left: set[str]) -> None:
    app = LayerCode(priced_agent(), settings=settings(tmp_path, retention_days=retention))
    async with calling(app) as caller:
        caller.conversation_id = "new"
        await add_old(app, days=31)
        await caller.say("hello")
        again = await app.watch.run(Job(watching.RETENTION, watching.RETENTION, "", {}))
        assert {record.conversation_id async for record in app.store.turns()} == left
        async with asyncio.timeout(100):
            while sum(kept.get("input_tokens", 0) for kept in (await app.store.totals("usage/")).values()) <= 7:
                await asyncio.sleep(0.02)
    assert again is not None
    assert again > time.time() + 3000


async def test_the_server_owes_itself_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "RETENTION_SECONDS", 0.6)
    app = LayerCode(priced_agent(), settings=settings(tmp_path, retention_days=30.0, alert_interval=0.1))
    async with calling(app) as caller:
        caller.conversation_id = "new"
        await add_old(app, days=31)
        await caller.say("hello")
        gone: list[bool] = []

        async def look() -> None:
            while not gone:
                await asyncio.sleep(0.05)
                if await app.store.get("old", "t") is None:
                    gone.append(True)

        app.jobs.background(look())
        await until(lambda: bool(gone))
