"""Tool call ids from an OpenAI-compatible server are rewritten if Anthropic would refuse them after a fallback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic_ai.models.fallback import FallbackModel

from ..serving import serve
from . import Asked, Call, Say, Step, StrictAnthropic, StrictChat
from .talk import strict_agent, talking
from .test_conversations import answered, broken, checks_and_tells, goes_on

pytestmark = pytest.mark.anyio


async def counts_anew(asked: Asked) -> AsyncIterator[Step]:
    """Gives the same id in each turn, with a dot and a colon, as Kimi does."""
    yield Say("Done.") if answered(asked) else Call("bump", id="functions.bump:0")


async def test_another_provider_takes_over_calls_with_its_own_ids() -> None:
    chat, anthropic = StrictChat(counts_anew), StrictAnthropic(checks_and_tells)
    async with (
        serve(anthropic.app) as url,
        anthropic.model(url) as fallback,
        talking(chat, lambda model: strict_agent(FallbackModel(model, fallback))) as talk,
    ):
        assert [await talk.say("hello"), await talk.say("again")] == ["Done.", "Done."]
        chat.script, talk.server = broken, anthropic
        await goes_on(talk)
        assert chat.refused == []
