"""Run guards, which check the caller's words while the model answers, and can stop the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from ..conversation.flow import take_back
from ..conversation.lasting import lasting
from ..conversation.turn import Turn

Guard: TypeAlias = Callable[[Turn[Any, Any]], Awaitable[str | None]]
"""An async function of the turn. It returns None to allow the reply, or a text that replaces the rest of the reply."""


def guards_of(given: Guard | Sequence[Guard] | None) -> tuple[Guard, ...]:
    """Return the guards that a `VoiceAgent` was given (none, one or several) as a tuple."""
    if given is None:
        return ()
    return tuple(given) if isinstance(given, Sequence) else (given,)


async def guarded(guards: Sequence[Guard], turn: Turn[Any, Any], speaking: Coroutine[Any, Any, None]) -> None:
    """Let the agent speak while the guards check the turn. A guard's objection or error stops the speech."""
    speech: asyncio.Task[None] = asyncio.create_task(speaking)
    verdict: asyncio.Task[str | None] = asyncio.create_task(_ask(guards, turn))
    try:
        await asyncio.wait({speech, verdict}, return_when=asyncio.FIRST_COMPLETED)
        if speech.done():
            speech.result()
        # Text that was sent may not have been heard yet, so an objection after the end of the speech still counts.
        objection = await verdict
        if objection is None:
            await speech
            return
        await _end(speech)
        turn.record.impact = "refusal"
        turn.record.pending = None  # If the refused reply asked to confirm a tool call, a later yes must not run it.
        take_back(turn.live)
        turn.live.hang_up.take_back()
        turn.say(objection)
    finally:
        await _end(speech)
        await _end(verdict)


async def _ask(guards: Sequence[Guard], turn: Turn[Any, Any]) -> str | None:
    """Run all guards concurrently, and return the first objection, or None."""
    if len(guards) == 1:
        return await _ask_one("guard", guards[0], turn)
    asked = [asyncio.create_task(_ask_one(f"guard {_name(guard)}", guard, turn)) for guard in guards]
    try:
        for answered in asyncio.as_completed(asked):
            if (objection := await answered) is not None:
                return objection
        return None
    finally:
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)


async def _ask_one(name: str, guard: Guard, turn: Turn[Any, Any]) -> str | None:
    with turn.span(name):
        return await lasting(turn.live, guard(turn))


def _name(guard: Guard) -> str:
    return str(getattr(guard, "__name__", type(guard).__name__))


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
