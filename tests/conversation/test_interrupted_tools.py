"""When a turn is interrupted, its running tool is cancelled, and the tool's changes are undone.

A tool that must finish continues after its turn instead, and the next turn knows its result.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ToolReturnPart

from layercode_app import LayerCode
from layercode_app.conversation.states import LiveStates
from layercode_app.exceptions import StoreError
from layercode_app.jobs import late_saves, until_saved
from layercode_app.journal.forget import forget
from layercode_app.server import app as app_module

from ..calling import calling, settings
from .outage import Outage
from .shop import Shop, ended, interrupt_in_the_tool, until

pytestmark = pytest.mark.anyio


async def test_a_tool_is_cancelled_with_its_turn_and_its_half_done_work_is_undone(tmp_path: Path) -> None:
    shop = Shop()
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        record = await ended(app, caller, "ordering")
        await caller.say("hello")
        kept = await app.store.conversation(caller.conversation_id)

    assert [(call.name, call.status) for call in record.tools] == [("order", "cancelled")]
    assert kept.state == {"placed": 0, "tried": 0, "last": ""}
    assert "interrupted" in shop.told()


@pytest.mark.parametrize("policy", ["finish", "finish_and_tell"])
async def test_a_tool_that_must_finish_outlives_its_turn_and_the_next_one_knows(policy: str, tmp_path: Path) -> None:
    shop = Shop(tools={"order": policy})
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        await ended(app, caller, "ordering")
        shop.proceed.set()

        async def done() -> bool:
            record = await app.store.get(caller.conversation_id, "ordering")
            return record is not None and record.tools[0].status == "done"

        await until(done)
        await caller.say("hello")
        kept = await app.store.conversation(caller.conversation_id)

    assert kept.state == {"placed": 1, "tried": 1, "last": "placed"}
    assert shop.receipts == ["ada"]
    returned = [p.content for m in shop.seen[-1] for p in m.parts if isinstance(p, ToolReturnPart)]
    assert returned == ["order 7 placed"]
    assert ("finished after the interruption" in shop.told()) == (policy == "finish_and_tell")


@pytest.mark.parametrize("when", ["while it runs", "while its changes are saved"])
async def test_a_tool_that_outlives_a_forgotten_call_leaves_nothing(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, released = Shop(tools={"order": "finish"}), asyncio.Event()
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    save_late, save = LiveStates.save_late, app.store.save_state

    async def save_and_tell(states: LiveStates, *args: Any) -> None:
        if when == "while its changes are saved":
            monkeypatch.setattr(app.store, "save_state", forget_first)
        await save_late(states, *args)
        released.set()

    async def forget_first(conversation_id: str, state: dict[str, Any], **named: Any) -> bool:
        await forget(app.store, conversation_id)
        return await save(conversation_id, state, **named)

    monkeypatch.setattr(LiveStates, "save_late", save_and_tell)
    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        await ended(app, caller, "ordering")
        if when == "while it runs":
            await forget(app.store, caller.conversation_id)
        shop.proceed.set()
        await released.wait()
        kept = await app.store.conversation(caller.conversation_id)
        assert kept.state == {}
        assert await app.store.established() == []
        assert [turn async for turn in app.store.turns()] == []
        if when == "while it runs":
            assert not any(job.name == "task" for job in await app.store.pending_jobs())
    assert shop.receipts == [] or when == "while its changes are saved"


async def test_the_next_turn_of_a_forgotten_call_begins_with_a_new_state(
    tmp_path: Path, released: asyncio.Event
) -> None:
    shop = Shop(tools={"order": "finish"})
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        await ended(app, caller, "ordering")
        await forget(app.store, caller.conversation_id)
        await caller.say("hello")
        before = await app.store.conversation(caller.conversation_id)
        shop.proceed.set()
        await released.wait()
        await caller.say("hello")
        after = await app.store.conversation(caller.conversation_id)
    assert before.state == after.state == {"placed": 0, "tried": 0, "last": ""}


async def test_a_tool_that_outlives_a_turn_whose_save_is_pending_keeps_its_effects(
    tmp_path: Path, released: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_saves, "PAUSES", (60.0,))
    shop = Shop(tools={"order": "finish_and_tell"})
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    outage = Outage(app)

    async def pending() -> bool:
        return bool(app.turns.late.waiting)

    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        await until(pending)
        shop.proceed.set()
        await released.wait()
        outage.over = True
        await caller.say("hello")
        kept = await app.store.conversation(caller.conversation_id)
        record = await ended(app, caller, "ordering")

    assert kept.state == {"placed": 1, "tried": 1, "last": "placed"}
    assert [(call.status, call.result) for call in record.tools] == [("done", "order 7 placed")]
    assert "order 7 placed" in shop.told()
    assert "finished after the interruption" in shop.told()


@pytest.mark.parametrize("stops", [True, False])
async def test_a_tool_that_ends_while_the_journal_is_away_keeps_its_effects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    """The journal is back either after a while, or only when the server stops."""
    shop = Shop(tools={"order": "finish_and_tell"})
    app = LayerCode(shop.voice, settings=settings(tmp_path))
    refused = asyncio.Event()

    async def away(*given: Any, **named: Any) -> Any:
        refused.set()
        raise StoreError("away")

    async with calling(app) as caller:
        await interrupt_in_the_tool(caller, shop)
        await ended(app, caller, "ordering")
        with monkeypatch.context() as outage:
            for name in ("update", "save_state", "enqueue"):
                outage.setattr(app.store, name, away)
            shop.proceed.set()
            await refused.wait()
        if stops:
            monkeypatch.setattr(until_saved, "PAUSE", 60.0)
            monkeypatch.setattr(app_module, "DRAIN_SECONDS", 0.1)
            await app.stop()
            app = LayerCode(shop.voice, settings=settings(tmp_path))
    async with calling(app) as again:
        again.conversation_id = caller.conversation_id

        async def receipt() -> bool:
            return bool(shop.receipts)

        await until(receipt)
        await again.say("hello")
        kept = await app.store.conversation(caller.conversation_id)
        record = await ended(app, again, "ordering")
    assert kept.state == {"placed": 1, "tried": 1, "last": "placed"}
    assert [(call.status, call.result) for call in record.tools] == [("done", "order 7 placed")]
    assert shop.receipts == ["ada"]
    assert "finished after the interruption" in shop.told()
