"""Answer the probe of `--tunnel`, `connect` and `doctor`: send frames with pauses between them, and start no turn."""

from __future__ import annotations

import asyncio

from ..journal.record import DATA, END, Frame
from ..platform.probe import FRAMES, PAUSE_SECONDS, PROBE
from ..stream.event_stream import EventStream, Receive, Send


async def answer_probe(receive: Receive, send: Send, *, project: str, agent: str) -> None:
    """Send frames that name the project and the agent; the client measures when each one arrives."""
    said = {"project": project, "agent": agent}
    frames = [Frame(DATA, {"probe": number, **said}) for number in range(FRAMES)] + [Frame(END)]
    with EventStream(receive, send, PROBE) as stream:
        for number in range(FRAMES):
            if number:
                await asyncio.sleep(PAUSE_SECONDS)
            await stream.listener.catch_up(frames[: number + 1])
        await stream.listener.catch_up(frames)
