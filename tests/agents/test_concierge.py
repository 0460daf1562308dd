"""The concierge knows a guest who has called before, and what was reserved in a long call."""

from __future__ import annotations

import asyncio

import pytest

from layercode_app.agent.discovery import find_agent
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.testing import open_call

from .talking import AGENTS

pytestmark = pytest.mark.anyio

LINE = {"from_phone_number": "+14155550199"}


async def test_a_guest_is_known_in_the_next_call() -> None:
    agent, store = find_agent("concierge", AGENTS), MemoryStore()
    async with open_call(agent, store=store, conversation_id="monday") as call:
        assert (await call.greet(**LINE)).spoken == "Good evening, this is the concierge. What may I arrange?"
        assert (await call.say("A taxi at nine", **LINE)).spoken.endswith("Reserved: a taxi, at nine.")
        while any(job.name == "task" for job in await store.pending_jobs()):
            await asyncio.sleep(0.01)
    async with open_call(agent, store=store, conversation_id="friday") as call:
        assert (await call.greet(**LINE)).spoken.startswith("Good evening, and welcome back, this is the concierge.")
    for line in ({"from_phone_number": "+14155550100"}, {}):
        async with open_call(agent, store=store, conversation_id=f"another {line}") as call:
            assert (await call.greet(**line)).spoken.startswith("Good evening, this is the concierge.")
    [fact] = (await store.conversation(f"caller:{LINE['from_phone_number']}")).state.values() or [""]
    assert "Reserved a taxi, at nine." in str(fact)
