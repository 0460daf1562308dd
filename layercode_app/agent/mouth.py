"""Where the model's words go: after what is said while it thinks, and without what cannot be spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..conversation.blank import is_blank
from ..conversation.turn import Turn
from .outputs import may_be_rejected
from .speakable import Speakable
from .think_tags import ThinkTags
from .thinking import Thinking

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent


class Mouth:
    """Speaks one turn's model text.

    Text that the agent's validators may reject is held back until `release` or `speak_output`.
    """

    def __init__(self, voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], thinking: Thinking) -> None:
        self._turn = turn
        self._thinking = thinking
        self._speakable = voice.speakable
        self.holds = voice.agent is not None and voice.speak is None and may_be_rejected(voice.agent)
        self.begin()

    def begin(self) -> None:
        """Expect the text of a new response."""
        self._tags = ThinkTags()
        self._filter = Speakable() if self._speakable else None
        self._space: str | None = ""
        """White space at the beginning of the response, until a word follows; None after the first word."""
        self._held: list[str] = []

    async def say(self, text: str) -> None:
        """Speak a piece of text, and hand it to the socket before returning."""
        text = self._tags.feed(text)
        await self._write(self._filter.feed(text) if self._filter else text)

    async def pause(self) -> None:
        """The response ends: let out what the filters held back."""
        text = self._tags.flush()
        if self._filter is not None:
            text = self._filter.feed(text) + self._filter.flush()
        await self._write(text)

    async def _write(self, text: str) -> None:
        if self._space is not None:
            if is_blank(text):
                self._space += text
                return
            # At the beginning of a turn it separates nothing.
            text = self._space + text if self._turn.live.spoke else text.lstrip()
            self._space = None
        if self.holds:
            self._held.append(text)
        elif text:
            await self._thinking.said()
            await self._turn.speak(text)

    # --- what is spoken when the response is complete

    async def release(self) -> None:
        """Speak the held text of the last response: it announces tools, and no validator looks at it."""
        text, self._held = "".join(self._held), []
        await self._speak_whole(text, "model")

    async def speak_output(self, text: str) -> None:
        """Speak the accepted output of the run in place of the last response's text."""
        self.begin()
        text = self._tags.feed(text) + self._tags.flush()
        if self._filter is not None:
            text = self._filter.feed(text) + self._filter.flush()
        await self._speak_whole(text, "output")

    async def _speak_whole(self, text: str, source: Literal["model", "output"]) -> None:
        if is_blank(text):
            return
        await self._thinking.said()
        live = self._turn.live
        text = text if live.spoke else text.lstrip()
        # The runner counts a response as soon as it is complete, and this text is of that one.
        live.response -= 1
        try:
            await self._turn.speak(text, source)
        finally:
            live.response += 1
