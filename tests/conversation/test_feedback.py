"""Feedback from the caller's page is recorded on the turn it refers to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, Turn, VoiceAgent

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


def talker() -> VoiceAgent[Any, Any]:
    agent = VoiceAgent("talker")

    @agent.on_message
    async def answer(turn: Turn) -> str:
        turn.score("politeness", 0.9, comment="said please")
        return "Yes."

    return agent


async def send(caller: Any, feedback: Any) -> Any:
    return (await caller.send({"type": "data", "turn_id": "x", "data": {"feedback": feedback}})).json


async def test_feedback_is_a_score_of_its_turn_beside_the_agents_own(tmp_path: Path) -> None:
    app = LayerCode(talker(), settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("hello", turn_id="t1")
        assert await send(caller, {"turn_id": "t1", "score": False, "comment": "too short"}) == {"feedback": "recorded"}
        record = await app.store.get(caller.conversation_id, "t1")
    assert record is not None
    assert record.scores == {
        "politeness": {"value": 0.9, "comment": "said please"},
        "feedback": {"value": False, "comment": "too short"},
    }


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"turn_id": "nobody", "score": 1}, "an unknown turn"),
        ({"score": 1}, "turn_id: Field required"),
        ({"turn_id": "t1", "score": [1]}, "score: "),
        ({"turn_id": "t1", "score": 1, "comment": "x" * 2001}, "comment: "),
        ("great", "feedback: "),
    ],
)
async def test_feedback_that_cannot_be_recorded_says_why(tmp_path: Path, given: Any, reason: str) -> None:
    app = LayerCode(talker(), settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("hello", turn_id="t1")
        assert reason in (await send(caller, given))["error"]
        record = await app.store.get(caller.conversation_id, "t1")
    assert record is not None
    assert "feedback" not in record.scores


async def test_feedback_of_another_conversation_is_not_taken(tmp_path: Path) -> None:
    async with calling(LayerCode(talker(), settings=settings(tmp_path))) as caller:
        await caller.say("hello", turn_id="t1")
        caller.conversation_id = "another"
        assert "error" in await send(caller, {"turn_id": "t1", "score": 1})


async def test_the_agents_own_data_hook_still_answers(tmp_path: Path) -> None:
    agent = talker()

    @agent.on_data
    async def thanks(turn: Turn, data: Any) -> Any:
        return {"thanks": data["feedback"]["score"]}

    app = LayerCode(agent, settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("hello", turn_id="t1")
        assert await send(caller, {"turn_id": "t1", "score": 5}) == {"thanks": 5}
        record = await app.store.get(caller.conversation_id, "t1")
    assert record is not None
    assert record.scores["feedback"]["value"] == 5
