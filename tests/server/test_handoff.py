"""`turn.handoff()` is recorded, sent to a webhook with retries, and announced only if it happened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, Turn, VoiceAgent, verify
from layercode_app.webhook import HEADER

from ..calling import SECRET, calling, settings
from ..platform.far_side import answer, far_side

pytestmark = pytest.mark.anyio


def helper() -> VoiceAgent[Any, Any]:
    agent = VoiceAgent("helper")

    @agent.on_message
    async def help_or_hand_off(turn: Turn) -> None:
        turn.handoff("wants a refund")

    return agent


async def test_a_handoff_is_recorded_told_and_said(tmp_path: Path) -> None:
    async with far_side(answer(503, {}), answer(200, {})) as far:
        app = LayerCode(helper(), settings=settings(tmp_path, handoff_url=far.url + "/handoff"))
        async with calling(app) as caller:
            reply = await caller.say("I want a person", turn_id="t1", from_phone_number="+15550001")
            again = await caller.say("I want a person", turn_id="t1")
            async with asyncio.timeout(100):
                while len(far.asked) < 2:  # the first is refused, so it is told again
                    await asyncio.sleep(0.05)
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


async def test_without_a_webhook_it_is_recorded_and_said(tmp_path: Path) -> None:
    app = LayerCode(helper(), settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("a person, please", turn_id="t1")
        record = await app.store.get(caller.conversation_id, "t1")
    assert reply.spoken
    assert record is not None
    assert record.outcomes[0]["name"] == "handoff"
