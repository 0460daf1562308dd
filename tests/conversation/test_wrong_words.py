"""Words that are not a text, such as the coroutine of a forgotten `await`, are refused. The error names the fix."""

from __future__ import annotations

from typing import Any

import pytest

from layercode_app import DeveloperError, Turn, VoiceAgent
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio


async def look_up() -> str:
    return "words"


@pytest.mark.parametrize("method", ["say", "progress"])
async def test_words_that_are_no_text_are_named(method: str) -> None:
    voice, said = VoiceAgent("shop"), []

    @voice.on_message
    async def reply(turn: Turn) -> str:
        forgotten = look_up()
        for words in (42, None, forgotten):
            given: Any = words
            with pytest.raises(DeveloperError) as raised:
                getattr(turn, method)(given)
            said.append(str(raised.value))
        forgotten.close()
        return "Fine."

    async with open_call(voice) as call:
        assert (await call.say("hi")).spoken == "Fine."
    assert said[:2] == [
        f"turn.{method} got {words}; expected a text. Use str(...) or an f-string." for words in ("42", "None")
    ]
    assert said[2].startswith(f"turn.{method} got <coroutine object look_up")
    assert said[2].endswith("expected a text. Write `await` before the call that returns the text.")
