"""A guard beside the model: it reads what the caller said while the model answers, and can stop the speech."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from ..conversation.turn import Turn

Guard: TypeAlias = Callable[[Turn[Any, Any]], Awaitable[str | None]]
"""Returns None to let the reply be spoken, or what is said instead of the rest of it."""


async def guarded(guard: Guard, turn: Turn[Any, Any], speaking: Coroutine[Any, Any, None]) -> None:
    """Let the agent speak while the guard thinks. An objection ends the speech; a guard that fails ends it too."""
    speech: asyncio.Task[None] = asyncio.create_task(speaking)
    verdict: asyncio.Task[str | None] = asyncio.create_task(_ask(guard, turn))
    try:
        await asyncio.wait({speech, verdict}, return_when=asyncio.FIRST_COMPLETED)
        if speech.done():
            speech.result()
        # What is spoken is not heard yet, so a verdict that comes after it still counts.
        objection = await verdict
        if objection is None:
            await speech
            return
        await _end(speech)
        turn.record.impact = "refusal"
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
