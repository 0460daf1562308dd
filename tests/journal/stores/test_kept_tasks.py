"""A tool's tasks (`turn.background`) and hand-offs (`turn.handoff`) are enqueued once, even if its worker died."""

from __future__ import annotations

from contextlib import suppress
from unittest.mock import AsyncMock

import pytest

from layercode_app import Message, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.delivery import displace
from layercode_app.exceptions import StoreError
from layercode_app.journal.check_journal import check_journal
from layercode_app.journal.record import Json, Status, ToolCall, TurnRecord
from layercode_app.journal.stores.base import Job, Store
from layercode_app.journal.stuck_turns import end_stuck
from layercode_app.journal.task_jobs import HANDOFF, HANDOFF_TASK, enqueue_tasks
from layercode_app.settings.limits import Limits
from layercode_app.watch import crashed_turns
from layercode_app.watch.crashed_turns import CrashedTurns

from .admitted import admit
from .conftest import Open
from .records import begin, turn

pytestmark = pytest.mark.anyio

CALL = {"number": 0, "task": "send_mail", "arguments": {"to": "Ann"}, "agent": "shop"}
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
NOTICE = {
    "number": "handoff-1",
    "task": HANDOFF_TASK,
    "arguments": {"number": 1, "notice": POSTED},
    "agent": "shop",
}


async def dies_after_a_tool(store: Store, *tasks: Json) -> None:
    """Begin a turn, and save it after a tool call. Then the worker dies, before the turn ends."""
    await ends_a_tool(store, *tasks)
    await store.close()


async def ends_a_tool(store: Store, *tasks: Json) -> TurnRecord:
    """Begin a turn, and save it after a tool call. The tool has added a task and asked for a person to take over.

    `tasks` are the task calls in its record.
    """
    record = turn("c", "old", agent="shop", session_id="s")
    await begin(store, record)
    record.tools = [ToolCall("1", "order", {}, 1.0, 2.0, "done", "ordered")]
    record.outcomes = [{"name": "sold", "value": 1}, {"name": HANDOFF, "value": None, "reason": "a refund"}]
    record.tasks = list(tasks or (CALL, NOTICE))
    await store.save(record)
    return record


async def deliver(store: Store, turn_id: str, handoff_url: str | None = "http://crm.test") -> None:
    voice = VoiceAgent("shop")

    @voice.on_message
    async def answer(turn: object) -> str:
        return "Hello"

    handler = TurnHandler(store, limits=Limits(handoff_url=handoff_url))
    await admit(handler, voice, Message(session_id="s", conversation_id="c", turn_id=turn_id, text="Order."))
    await handler.drain()


async def jobs(store: Store) -> list[tuple[str, str, object]]:
    pending = sorted(await store.pending_jobs(), key=lambda job: job.name, reverse=True)
    return [(job.name, job.agent, job.payload) for job in pending]


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


async def test_by_the_next_turn_if_the_worker_does_not_stop_the_turn(
    worker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead worker counts as alive until its lease ends. A worker that is only slow enqueues nothing again."""
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.1)
    slow, here = await worker(), await worker()
    record = await ends_a_tool(slow)
    await deliver(here, "new")
    assert await jobs(here) == ENQUEUED
    old = await here.get("c", "old")
    assert old is not None
    assert (old.status, old.tasks) == (Status.SUPERSEDED, [])
    for job in await here.pending_jobs():
        await here.settle(job)
    await enqueue_tasks(record, slow.enqueue)
    assert await jobs(here) == []


async def test_by_a_check_of_the_journal(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    await check_journal(here, fix=True)
    assert await jobs(here) == ENQUEUED


async def test_by_the_search_for_crashed_turns(worker: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashed_turns, "GRACE_SECONDS", -1.0)
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    await end(here, "search")
    assert await jobs(here) == ENQUEUED
    # A second search finds nothing to end.
    await end(here, "search")
    assert await jobs(here) == ENQUEUED


async def test_the_search_posts_no_handoff_that_the_workers_service_does_not_post(
    worker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashed_turns, "GRACE_SECONDS", -1.0)
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead, CALL)  # Its service has no LAYERCODE_HANDOFF_URL, so the hand-off is no task.
    await end(here, "search")
    assert await jobs(here) == ENQUEUED[:1]


@pytest.mark.parametrize("how", ["new", "search"])
@pytest.mark.parametrize("method", ["enqueue", "update"])
async def test_although_the_journal_becomes_unavailable_meanwhile(
    worker: Open, how: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashed_turns, "GRACE_SECONDS", -1.0)
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    with monkeypatch.context() as patch:
        patch.setattr(here, method, AsyncMock(side_effect=StoreError("away")))
        with suppress(StoreError):
            await end(here, how)
    await end(here, "search")
    assert await jobs(here) == ENQUEUED
    old = await here.get("c", "old")
    assert old is not None
    assert (old.status, old.tasks) == (Status.FAILED, [])


async def test_not_if_the_call_is_forgotten_while_its_turn_is_ended(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead)
    read = await here.get("c", "old")
    assert read is not None
    enqueue = here.enqueue

    async def forgotten_first(job: Job) -> bool:
        if await here.get("c", "old") is not None:
            await here.forget("c")
        return await enqueue(job)

    here.enqueue = forgotten_first  # type: ignore[method-assign]
    assert not await end_stuck(here, read)
    assert await jobs(here) == []


async def end(store: Store, how: str) -> None:
    """End the turn of the dead worker in one of four ways."""
    if how == "check":
        await check_journal(store, fix=True, posts_handoffs=True)
    elif how == "search":
        ended: list[TurnRecord] = []
        await CrashedTurns(store, ended.append).search()
        assert all(record.error == "CrashedTurnError" and record.notes for record in ended)
    else:
        await deliver(store, how)


@pytest.mark.parametrize("how", ["old", "new", "check"])
async def test_a_handoff_of_an_earlier_release_which_is_only_an_outcome(worker: Open, how: str) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead, CALL)
    await end(here, how)
    pending = sorted(job.id for job in await here.pending_jobs())
    assert pending == ["handoff-c-old-1", "task-c-old-0"]
    [notice] = [job.payload for job in await here.pending_jobs() if job.name == HANDOFF]
    assert notice | {"at": 1.0} == POSTED


@pytest.mark.parametrize("how", ["old", "new", "check"])
async def test_a_handoff_that_an_earlier_release_enqueued_too(worker: Open, how: str) -> None:
    dead, here = await worker(), await worker()
    await dead.enqueue(Job("handoff-c-old-1", HANDOFF, "shop", POSTED, "c"))
    await dies_after_a_tool(dead)
    await end(here, how)
    assert await jobs(here) == ENQUEUED


@pytest.mark.parametrize("how", ["old", "new"])
async def test_not_a_handoff_that_no_worker_can_post(worker: Open, how: str) -> None:
    dead, here = await worker(), await worker()
    await dies_after_a_tool(dead, CALL)
    await deliver(here, how, handoff_url=None)
    assert await jobs(here) == ENQUEUED[:1]


async def test_not_if_the_turn_runs_again(worker: Open) -> None:
    """A hook that runs again would add its task again. Therefore the task of the first attempt is dropped."""
    dead, here = await worker(), await worker()
    await begin(dead, record := turn("c", "old", agent="shop"))
    record.outcomes = [{"name": HANDOFF, "value": None, "reason": "a refund"}]
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
