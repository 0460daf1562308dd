"""The front desk books an appointment once, whatever happens to the call.

The tests send signed HTTP requests, and check what the journal holds at the end.
"""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from layercode_app.conversation.flow import own_fields, stage_key

from .talking import Conversation, sent, talking

pytestmark = pytest.mark.anyio

WHAT_FOR = "What is it for: a check-up, a cleaning, or a toothache?"


def next_tuesday() -> date:
    """Return the Tuesday of next week."""
    today = date.today()
    return today + timedelta(days=8 - today.weekday())


async def stored(call: Conversation) -> dict[str, Any]:
    """Return the conversation's state in the journal."""
    return dict((await call.app.store.conversation(call.caller.conversation_id)).state)


def cut(turn_id: str, heard: str) -> dict[str, Any]:
    """Return the fields with which the platform tells, in the next message, that the caller interrupted a reply."""
    context = {"previous_turn_interrupted": True, "text_heard": heard, "assistant_turn_id": turn_id}
    return {"interruption_context": context}


async def test_an_interrupted_call_with_duplicates_books_once(tmp_path: Path) -> None:
    async with talking("front_desk", tmp_path) as call:
        assert (await call.greeting()).spoken == "Hello, this is Harbour Dental. May I have your name?"
        name = await call.say("This is Ann Smith", turn_id="name")
        assert name.spoken == f"Thank you, Ann Smith. {WHAT_FOR}"
        # The caller says "mhm" while the agent says the name. The reply continues, and nothing is saved again.
        resumed = await call.say("mhm", **cut("name", "Thank you, Ann"))
        assert resumed.spoken == f"Smith. {WHAT_FOR}"
        assert (await call.say("A check-up")).spoken == "Right, a check-up. Which day would suit you?"
        first, second = await asyncio.gather(*[call.say("Next Tuesday", turn_id="day") for _ in range(2)])
        assert first.spoken == second.spoken
        assert "I have nine a m, or eleven thirty a m, or three p m. Which one would you like?" in first.spoken
        asked = await call.say("Half past eleven")
        assert asked.spoken.endswith("at eleven thirty in the morning, for a check-up. Shall I book it?")
        assert (await stored(call))["booked"] is False
        done, again = await asyncio.gather(*[call.say("Yes, please", turn_id="yes") for _ in range(2)])
        assert done.spoken == again.spoken
        assert done.spoken.startswith("Booked: Ann Smith on Tuesday")
        assert done.types[-2:] == ["response.hangup", "response.end"]
        # The goodbye was interrupted, so the line is still open. Another yes books nothing.
        resumed = await call.say("Yes", turn_id="more", **cut("yes", "Booked:"))
        assert resumed.spoken.startswith("Ann Smith on Tuesday")
        assert (await call.say("Yes, do book it", **cut("more", "Ann Smith"))).spoken == "You are booked. Goodbye!"

        appointment = {
            "name": "Ann Smith",
            "reason": "a check-up",
            "day": next_tuesday().isoformat(),
            "time": "11:30:00",
        }
        assert sent(done) == [{"booked": appointment | {"number": None}}]
        state = await stored(call)
        assert own_fields(state).items() >= (appointment | {"booked": True}).items()
        assert {field: answer["confirmed"] for field, answer in state["collected"].items()} == {
            "name": True, "reason": True, "day": True, "time": True
        }  # fmt: skip
        assert state[stage_key("front_desk")] == "goodbye"
        assert await call.outcomes() == [{"name": "booked", "value": None}]
        assert await call.tools() == [
            "save_name done", "save_reason done", "save_day done",
            "find_times done", "save_time done", "book_appointment done",
        ]  # fmt: skip


@pytest.mark.slow
async def test_a_changed_time_is_asked_about_again(tmp_path: Path) -> None:
    async with talking("front_desk", tmp_path) as call:
        await call.greeting()
        for text in ("Ann Smith", "A cleaning", "Next Tuesday", "Nine"):
            await call.say(text)
        changed = await call.say("No, make it three")
        assert changed.spoken.endswith("at three o'clock in the afternoon, for a cleaning. Shall I book it?")
        assert (await call.say("Ten")).spoken.startswith("You said ten o'clock in the morning. That is not free")
        assert (await call.say("No, three")).spoken.endswith("Shall I book it?")
        assert (await call.say("No")).spoken.startswith("Then I have not booked it.")
        assert await call.outcomes() == []
        assert (await call.say("Saturday")).spoken.endswith("Nothing is free on that day. Which day would suit you?")
        state = await stored(call)
    assert (state["day"], state["booked"], state[stage_key("front_desk")]) == (None, False, "day")
