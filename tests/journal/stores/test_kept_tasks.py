"""What a tool passed to `turn.background` or `turn.handoff` is enqueued once, although the worker of its turn died."""

from __future__ import annotations

import pytest

from layercode_app import Message, VoiceAgent
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.delivery import displace
from layercode_app.journal.check_journal import check_journal
from layercode_app.journal.record import ToolCall
from layercode_app.journal.stores.base import Job, Store
from layercode_app.journal.task_jobs import HANDOFF, HANDOFF_TASK

from .admitted import admit
from .conftest import Open
from .records import begin, turn

pytestmark = pytest.mark.anyio

CALL = {"number": 0, "task": "send_mail", "arguments": {"to": "Ann"}, "agent": "shop"}
NOTICE = {"number": 1, "task": HANDOFF_TASK, "arguments": {"reason": "a refund", "at": 1.0}, "agent": "shop"}


async def dies_after_a_tool(store: Store) -> None:
    """Begin a turn, and save it after a tool call. The tool has added a task and asked for a person to take over.

    Then the worker dies, before the turn ends.
    """
    record = turn("c", "old", agent="shop", session_id="s")
    await begin(store, record)
    record.tools = [ToolCall("1", "order", {}, 1.0, 2.0, "done", "ordered")]
    record.tasks = [CALL, NOTICE]
    await store.save(record)
    await store.close()


async def deliver(store: Store, turn_id: str) -> None:
    voice = VoiceAgent("shop")

    @voice.on_message
    async def answer(turn: object) -> str:
        return "Hello"

    handler = TurnHandler(store)
    await admit(handler, voice, Message(session_id="s", conversation_id="c", turn_id=turn_id, text="Order."))
    await handler.drain()


async def jobs(store: Store) -> list[tuple[str, str, object]]:
    pending = sorted(await store.pending_jobs(), key=lambda job: job.name, reverse=True)
    return [(job.name, job.agent, job.payload) for job in pending]


POSTED = {
    "type": HANDOFF,
    "conversation_id": "c",
    "session_id": "s",
    "turn_id": "old",
    "agent": "shop",
    "reason": "a refund",
    "from_phone_number": None,
    "at": 1.0,
}
ENQUEUED = [("task", "shop", {"task": "send_mail", "arguments": {"to": "Ann"}}), (HANDOFF, "shop", POSTED)]


async def test_by_a_second_delivery(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    await deliver(here, "old")
    assert await jobs(here) == ENQUEUED
    await deliver(here, "new")
    assert await jobs(here) == ENQUEUED


async def test_by_the_next_turn(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    await deliver(here, "new")
    assert await jobs(here) == ENQUEUED


async def test_by_a_check_of_the_journal(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    await check_journal(here, fix=True)
    assert await jobs(here) == ENQUEUED


async def test_not_if_the_turn_runs_again(worker: Open) -> None:
    """A hook that runs again would add its task again. Therefore the task of the first attempt is dropped."""
    dead, here = await worker(), await worker()
    await begin(dead, record := turn("c", "old", agent="shop"))
    record.tasks = [CALL, NOTICE]
    await dead.save(record)
    await dead.close()
    await deliver(here, "old")
    assert await jobs(here) == []


async def test_not_if_its_worker_had_enqueued_it(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await dead.enqueue(Job("task-c-old-0", "task", "shop", {"task": "send_mail", "arguments": {"to": "Ann"}}, "c"))
    await dies_after_a_tool(dead)
    await deliver(here, "old")
    assert await jobs(here) == ENQUEUED


async def test_not_if_the_call_was_forgotten_before_its_turn_is_displaced(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    read = await here.get("c", "old")
    assert read is not None
    await here.forget("c")
    assert not await displace(here, read)
    assert await jobs(here) == []
