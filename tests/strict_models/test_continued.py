"""A turn never continues a response that OpenAI stored in an earlier turn.

Such a response contains text that the caller did not hear.
"""

from __future__ import annotations

import pytest

from . import StrictResponses
from .talk import talking
from .test_conversations import checks_and_tells, goes_on

pytestmark = pytest.mark.anyio


async def test_a_response_is_continued_within_a_turn_only() -> None:
    settings = {"openai_previous_response_id": "auto"}
    async with talking(StrictResponses(checks_and_tells), model_settings=settings) as talk:
        await talk.say("hello")
        context = {"previous_turn_interrupted": True, "text_heard": "Let me", "words_heard": 2}
        await talk.say("wait", interruption_context=context)
        first, second = talk.server.asked[2:4]
        assert [line.text.strip() for line in first.lines if line.role == "assistant"] == ["Let me"]
        assert "previous_response_id" not in first.body
        assert second.body["previous_response_id"].startswith("resp_")
        await goes_on(talk)
