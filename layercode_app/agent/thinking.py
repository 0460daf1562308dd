"""What is said while the model thinks: a hook that speaks beside the model until the answer is ready."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..conversation.blank import is_blank
from ..conversation.sentences import ends_sentence
from ..conversation.turn import Turn
from .hooks import speak_answer

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent

SENTENCE_SECONDS = 1.0
"""How long a finished answer waits for the hook to end the sentence it is in."""
END_SECONDS = 1.0
"""How long the turn waits for a hook that was cancelled."""


class Thinking:
    """`async with Thinking(voice, turn) as thinking`: the hook speaks at once; `await thinking.said()` before the answer.

    A hook that has begun a sentence may end it. One that has said nothing by then is stopped, so that a slow or failing
    hook holds nothing back.
    """

    def __init__(self, voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
        # Such a hook mostly asks a small model about the caller's words, and there are none.
        hooks = None if is_blank(turn.text) else voice.hooks.get("thinking")
        self._turn = turn
        self._hook = hooks[0] if hooks else None
        self._task: asyncio.Task[None] | None = None
        self._between = asyncio.Event()
        """Set while the hook is in no sentence."""
        self._speaking = False
        self._over = False

    async def __aenter__(self) -> Thinking:
        """Let the hook begin to speak."""
        if self._hook is not None:
            self._between.set()
            self._task = asyncio.create_task(self._run(self._hook))
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Stop the hook where the turn was stopped or the answer was complete."""
        if self._task is None:
            return
        if raised[0] is None:
            await self.said()
        if not self._over:
            self._stop(self._task)
        await asyncio.wait({self._task}, timeout=END_SECONDS)

    async def said(self) -> None:
        """Wait until the hook has ended its sentence, and let it say no more."""
        task = self._task
        if task is None or self._over:
            return
        if not self._between.is_set() and not task.done():
            await self._wait_for_sentence(task)
        self._stop(task)

    async def _wait_for_sentence(self, task: asyncio.Task[None]) -> None:
        ended = asyncio.ensure_future(self._between.wait())
        try:
            await asyncio.wait({task, ended}, timeout=SENTENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()

    def _stop(self, task: asyncio.Task[None]) -> None:
        self._over = True
        # While its words are being sent, a cancelled task would lose them; it ends itself after that.
        if not self._speaking:
            task.cancel()

    async def _run(self, hook: Any) -> None:
        try:
            await speak_answer(hook(self._turn), self._speak, "while_thinking")
        except Exception as error:  # noqa: BLE001 - the answer itself is on its way
            # Its text only where a sink may show it: it may quote the caller.
            log = self._turn.log.opt(exception=error)
            log.warning("while_thinking failed, and the answer goes on without it: {}", type(error).__name__)

    async def _speak(self, text: str) -> None:
        if self._over:
            raise asyncio.CancelledError
        self._speaking = True
        words = not is_blank(text)
        if words:
            self._between.clear()
        try:
            await self._turn.speak(text, "say")
        finally:
            self._speaking = False
        if self._over:
            raise asyncio.CancelledError
        if words and ends_sentence(text):
            self._between.set()
