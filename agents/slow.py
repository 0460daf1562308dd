"""Slow: answers in parts with long gaps, for trying out waits, fillers and interruptions. Needs no model."""

import asyncio
from collections.abc import AsyncIterator

from pydantic import BaseModel

from layercode_app import Turn, VoiceAgent

PARTS = ("First, I open the drawer.", "Then I look through the folders.", "There it is.", "That was all of it.")


class Pace(BaseModel):
    """Options that a client can set in the session's metadata."""

    gap_seconds: float = 2.0
    """Silence before each part."""
    parts: int = len(PARTS)


agent = VoiceAgent(
    "slow",
    history=True,
    metadata=Pace,
    greeting="Hello. I take my time; interrupt me whenever you like.",
    filler="One moment.",
    filler_after=1.0,
)


@agent.on_message
async def answer(turn: Turn[None, Pace]) -> AsyncIterator[str]:
    """Say `PARTS` one by one, each after a silence. If the caller interrupts, the remaining parts are not said."""
    if "wait" in turn.text.lower():
        yield f"Fine. So far I was heard to say: {turn.past[-1].heard}" if turn.past else "Fine, I am waiting."
        return
    for part in PARTS[: turn.metadata.parts]:
        await asyncio.sleep(turn.metadata.gap_seconds)
        yield part + " "
