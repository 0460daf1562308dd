"""Run the `while_thinking` hook, which speaks while the model prepares the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..blank import is_blank
from ..conversation.sentences import ends_sentence
from ..conversation.turn import Turn
from .hooks import speak_answer

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent

SENTENCE_SECONDS = 1.0
"""How long an answer waits for the hook to end its current sentence."""
END_SECONDS = 1.0
"""How long the turn waits for a cancelled hook to end."""


class Thinking:
    """A context manager that runs the `while_thinking` hook. Before the answer is spoken, `said()` must be awaited.

    `said()` stops the hook. A hook in the middle of a sentence first has SENTENCE_SECONDS to end the sentence. A hook
    that is not in the middle of a sentence is stopped at once. So a slow or failing hook delays the answer by at most
    SENTENCE_SECONDS.
    """

    def __init__(self, voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> None:
        # A hook usually asks a small model about the caller's words, so a message without words does not run it.
        hooks = None if is_blank(turn.text) else voice.hooks.get("thinking")
        self._turn = turn
        self._hook = hooks[0] if hooks else None
        self._task: asyncio.Task[None] | None = None
        self._between = asyncio.Event()
        """Set while the hook is not within a sentence."""
        self._speaking = False
        self._over = False

    async def __aenter__(self) -> Thinking:
        """Start the `while_thinking` hook, if the agent has one."""
        if self._hook is not None:
            self._between.set()
            self._task = asyncio.create_task(self._run(self._hook))
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Stop the hook, because the turn was stopped or the answer is complete."""
        if self._task is None:
            return
        if raised[0] is None:
            await self.said()
        if not self._over:
            self._stop(self._task)
        await asyncio.wait({self._task}, timeout=END_SECONDS)

    async def said(self) -> None:
        """Wait until the hook has ended its sentence, then stop it."""
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
        # Cancelling the task while it sends words would lose them. In that case `_speak` ends the hook after sending.
        if not self._speaking:
            task.cancel()

    async def _run(self, hook: Any) -> None:
        try:
            await speak_answer(self._turn, hook, "while_thinking", self._speak)
        except Exception as error:  # noqa: BLE001 - the answer itself is on its way
            # The message has only the error's type. The error's text may quote the caller, so each sink decides whether
            # to show it.
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
