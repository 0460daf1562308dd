"""Where the model's words go: after what is said while it thinks, and without what cannot be spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..conversation.turn import Turn
from .speakable import Speakable
from .thinking import Thinking

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent


class Mouth:
    """Speaks one turn's model text."""

    def __init__(self, voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], thinking: Thinking) -> None:
        self._turn = turn
        self._thinking = thinking
        self._filter = Speakable() if voice.speakable else None

    async def say(self, text: str) -> None:
        """Speak a piece of text, and hand it to the socket before returning."""
        await self._thinking.said()
        await self._turn.speak(self._filter.feed(text) if self._filter else text)

    async def pause(self) -> None:
        """The model stops here, to call a tool or for good: let out what the filter held back."""
        if self._filter is not None:
            await self._turn.speak(self._filter.flush())
