"""The help desk answers from its articles. It hands a caller to the callback agent, which hands the caller back."""

from __future__ import annotations

from pathlib import Path

import pytest

from .talking import sent, talking

pytestmark = pytest.mark.anyio


async def test_a_question_without_an_answer_becomes_a_callback_and_the_next_is_answered(tmp_path: Path) -> None:
    async with talking("helpdesk", tmp_path) as call:
        await call.greeting()
        assert "Shall I have a colleague call you back?" in (await call.say("Do you sell boats?")).spoken
        assert (await call.say("Yes please")).spoken == "A colleague will call you back. At which number?"
        noted = await call.say("415 555 0199")
        assert noted.spoken.startswith("We will call 4 1 5")
        assert {"call_back": "4155550199"} in sent(noted)
        answered = await call.say("When is my bill due?")
        assert "first of the month" in answered.spoken
        assert {"title", "source"} in [set(found) for content in sent(answered) for found in content.get("sources", [])]
        assert (await call.say("Thank you")).spoken == "You are welcome."
        assert [outcome["name"] for outcome in await call.outcomes()] == ["unanswered", "call_back"]
