"""What is said while the model thinks: it runs beside the model, and the answer waits until it has been said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..conversation.turn import Turn
from .hooks import speak_answer

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent


class Thinking:
    """`async with Thinking(voice, turn) as thinking`: begins to speak at once; `await thinking.said()` before more."""

    def __init__(self, voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
        hooks = voice.hooks.get("thinking")
        self._turn = turn
        self._hook = hooks[0] if hooks else None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Thinking:
        """Begin to speak."""
        if self._hook is not None:
            self._task = asyncio.create_task(self._speak(self._hook))
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Stop speaking where the turn was stopped; otherwise it has all been said."""
        if self._task is not None:
            if raised[0] is not None:
                self._task.cancel()
            await asyncio.wait({self._task})

    async def said(self) -> None:
        """Wait until it has been said."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    async def _speak(self, hook: Any) -> None:
        try:
            await speak_answer(hook(self._turn), lambda text: self._turn.speak(text, "say"), "while_thinking")
        except Exception as error:  # noqa: BLE001 - the answer itself is on its way
            # Its text only where a sink may show it: it may quote the caller.
            log = self._turn.log.opt(exception=error)
            log.warning("while_thinking failed, and the answer goes on without it: {}", type(error).__name__)
