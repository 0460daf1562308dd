"""Filter the model's text, and speak it after the words of the `while_thinking` hook.

Reasoning is always removed; markdown is removed if `speakable` is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..blank import is_blank
from ..conversation.turn import Turn
from .outputs import may_be_rejected
from .think_tags import ThinkTags
from .thinking import Thinking

if TYPE_CHECKING:
    from .speakable import Speakable
    from .voice_agent import VoiceAgent


class SpeechWriter:
    """Filters and speaks the model's text of one turn.

    Text that the agent's validators may reject is held back until `release` or `speak_output` is called.
    """

    def __init__(self, voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], thinking: Thinking) -> None:
        self._turn = turn
        self._thinking = thinking
        self._speakable = voice.speakable
        self.holds = voice.agent is not None and voice.speak is None and may_be_rejected(voice.agent)
        self.begin()

    def begin(self) -> None:
        """Prepare for the text of a new response."""
        self._response = self._turn.live.run.response
        """The number of the response that began last."""
        self._filter = self._fresh_filter()
        self._space: str | None = ""
        """White space at the start of the response, held back until the first word; None after that."""
        self._held: list[str] = []

    async def say(self, text: str) -> None:
        """Filter a piece of text, and speak the part that is not held back.

        The spoken part has been handed to the socket when this method returns.
        """
        await self._write(self._filter.feed(text))

    async def break_off(self) -> None:
        """Speak the text that the filter still holds back. Called when a tool call or reasoning follows the text."""
        if text := self._filter.release():
            await self._write(text)

    async def wait_for_hook(self) -> None:
        """Wait until the `while_thinking` hook has ended its sentence."""
        await self._thinking.said()

    async def pause(self) -> None:
        """Speak the text that the filter still holds back. Called at the end of a response."""
        await self._write(self._filter.flush())

    async def _write(self, text: str) -> None:
        if self._space is not None:
            if is_blank(text):
                self._space += text
                return
            # Remove white space before the first words of a turn: it separates nothing.
            text = self._space + text if self._turn.live.spoken.begun else text.lstrip()
            self._space = None
        if self.holds:
            self._held.append(text)
        elif text:
            await self._thinking.said()
            await self._turn.live.speak_out(text, "model")

    # --- text that is spoken once the response is complete

    async def release(self, text: str | None) -> None:
        """Speak the text of the last response without validation, for example before tool calls, if it was held.

        `text` is the text of the complete response, because the agent's hooks may have changed it.
        """
        held, self._held = self._held, []
        if any(held):
            await self._speak_whole(self.filtered(text or ""), "model")

    async def speak_output(self, text: str) -> None:
        """Speak the output of the run: the accepted text of the last response, or a text that no response contained."""
        await self._speak_whole(self.filtered(text), "output")

    def filtered(self, text: str) -> str:
        """Return a whole text without what is not spoken."""
        words = self._fresh_filter()
        return words.feed(text) + words.flush()

    def _fresh_filter(self) -> Speakable | ThinkTags:
        return self._speakable.fresh() if self._speakable else ThinkTags()

    async def _speak_whole(self, text: str, source: Literal["model", "output"]) -> None:
        if is_blank(text):
            return
        await self._thinking.said()
        live = self._turn.live
        text = text if live.spoken.begun else text.lstrip()
        # This text belongs to the last response, but the counter may already have moved on to the next response.
        following, live.run.response = live.run.response, self._response
        try:
            await live.speak_out(text, source)
        finally:
            live.run.response = following
