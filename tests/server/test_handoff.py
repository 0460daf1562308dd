"""`turn.handoff()` is recorded, sent to a webhook with retries, and announced only if it happened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext

from layercode_app import Call, LayerCode, Turn, VoiceAgent, verify
from layercode_app.exceptions import StoreError
from layercode_app.journal.stores.base import Job
from layercode_app.journal.task_jobs import HANDOFF_TASK, TASK
from layercode_app.testing import scripted
from layercode_app.webhook import HEADER

from ..calling import SECRET, calling, settings
from ..platform.far_side import FarSide, answer, far_side

pytestmark = pytest.mark.anyio


def helper() -> VoiceAgent[Any, Any]:
    agent = VoiceAgent("helper")

    @agent.on_message
    async def help_or_hand_off(turn: Turn) -> None:
        turn.handoff("wants a refund")

    return agent


async def posted(far: FarSide, times: int = 1) -> None:
    """Wait until the notice has been posted this many times."""
    async with asyncio.timeout(100):
        while len(far.asked) < times:
            await asyncio.sleep(0.05)


async def test_a_handoff_is_recorded_told_and_said(tmp_path: Path) -> None:
    async with far_side(answer(503, {}), answer(200, {})) as far:
        app = LayerCode(helper(), settings=settings(tmp_path, handoff_url=far.url + "/handoff"))
        async with calling(app) as caller:
            reply = await caller.say("I want a person", turn_id="t1", from_phone_number="+15550001")
            again = await caller.say("I want a person", turn_id="t1")
            await posted(far, 2)  # The first is refused, so it is told again.
            record = await app.store.get(caller.conversation_id, "t1")

    assert reply.spoken == again.spoken == "I've noted that a person should take over from here. "
    assert "transfer" not in reply.spoken
    assert record is not None
    assert record.outcomes == [{"name": "handoff", "value": None, "reason": "wants a refund"}]
    told = far.asked[1].json
    assert far.asked[0].body == far.asked[1].body
    assert (told["type"], told["reason"], told["turn_id"]) == ("handoff", "wants a refund", "t1")
    assert told["from_phone_number"] == "+15550001"
    verify(far.asked[1].headers[HEADER], far.asked[1].body, [SECRET])


async def test_a_handoff_is_told_although_the_journal_was_away_when_the_turn_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with far_side(answer(200, {})) as far:
        app = LayerCode(helper(), settings=settings(tmp_path, handoff_url=far.url + "/handoff"))
        async with calling(app) as caller:

            async def away(job: Job) -> bool:
                raise StoreError("away")

            with monkeypatch.context() as outage:
                outage.setattr(app.store, "enqueue", away)
                await caller.say("I want a person", turn_id="t1")
            await posted(far)
    assert far.asked[0].json["turn_id"] == "t1"


async def test_a_handoff_is_told_although_the_tool_outlived_its_turn(tmp_path: Path) -> None:
    started, proceed, agent = asyncio.Event(), asyncio.Event(), Agent(deps_type=Turn)
    agent.model = scripted(Call("order"), "fine")
    voice = VoiceAgent("shop", agent, tools={"order": "finish"})

    @agent.tool
    async def order(ctx: RunContext[Turn]) -> str:
        started.set()
        await proceed.wait()
        ctx.deps.handoff("the card was declined")
        return "declined"

    async with far_side(answer(200, {})) as far:
        app = LayerCode(voice, settings=settings(tmp_path, handoff_url=far.url + "/handoff"))
        async with calling(app) as caller:
            interrupted = asyncio.create_task(caller.say("order", turn_id="t1"))
            await asyncio.wait_for(started.wait(), 100)
            await caller.say("wait", turn_id="t2")
            await interrupted
            proceed.set()
            await posted(far)
    assert (far.asked[0].json["turn_id"], far.asked[0].json["reason"]) == ("t1", "the card was declined")


async def test_a_handoff_that_an_earlier_release_took_for_a_task_is_told_once(tmp_path: Path) -> None:
    async with far_side(answer(200, {}), answer(200, {})) as far:
        app = LayerCode(helper(), settings=settings(tmp_path, handoff_url=far.url + "/handoff"))
        async with calling(app) as caller:
            await caller.say("I want a person", turn_id="t1")
            await posted(far)
            notice = far.asked[0].json
            for number in (0, 1):  # The first has been told already, the second has not.
                arguments = {"number": number, "notice": notice | {"reason": f"reason {number}"}}
                payload = {"task": HANDOFF_TASK, "arguments": arguments}
                await app.jobs.enqueue(Job(f"task-{number}", TASK, "helper", payload, caller.conversation_id))
            await posted(far, 2)
            async with asyncio.timeout(100):
                while any(job.name == TASK for job in await app.store.pending_jobs()):
                    await asyncio.sleep(0.05)
    assert [told.json["reason"] for told in far.asked] == ["wants a refund", "reason 1"]


async def test_without_a_webhook_it_is_recorded_and_said(tmp_path: Path) -> None:
    app = LayerCode(helper(), settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("a person, please", turn_id="t1")
        record = await app.store.get(caller.conversation_id, "t1")
    assert reply.spoken
    assert record is not None
    assert record.outcomes[0]["name"] == "handoff"
    assert record.tasks == []
