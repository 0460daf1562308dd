"""Run a guard concurrently with the model: it checks the caller's words while the model answers, and can stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from ..conversation.turn import Turn

Guard: TypeAlias = Callable[[Turn[Any, Any]], Awaitable[str | None]]
"""Returns None to allow the reply, or the text that is said instead of the rest of the reply."""


async def guarded(guard: Guard, turn: Turn[Any, Any], speaking: Coroutine[Any, Any, None]) -> None:
    """Let the agent speak while the guard checks the turn. An objection or an error of the guard stops the speech."""
    speech: asyncio.Task[None] = asyncio.create_task(speaking)
    verdict: asyncio.Task[str | None] = asyncio.create_task(_ask(guard, turn))
    try:
        await asyncio.wait({speech, verdict}, return_when=asyncio.FIRST_COMPLETED)
        if speech.done():
            speech.result()
        # Text that was sent may not have been heard yet, so a verdict after the end of the speech still counts.
        objection = await verdict
        if objection is None:
            await speech
            return
        await _end(speech)
        turn.record.impact = "refusal"
        turn.record.pending = None  # A yes to the question of a refused reply must not run its tool.
        turn.say(objection)
    finally:
        await _end(speech)
        await _end(verdict)


async def _ask(guard: Guard, turn: Turn[Any, Any]) -> str | None:
    with turn.span("guard"):
        return await guard(turn)


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
