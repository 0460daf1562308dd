"""Let a worker admit a turn, without a web server."""

from __future__ import annotations

import time
from collections.abc import Sequence

from layercode_app import Message, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.listener import Listener
from layercode_app.journal.record import Frame


async def admit(handler: TurnHandler, voice: VoiceAgent, event: Message) -> str:
    """Let a worker answer a message; return what the caller hears."""
    heard: list[Frame] = []

    async def take(frames: Sequence[Frame]) -> None:
        heard.extend(frames)

    await handler.admit(AgentRunner(voice), event, Listener(take), received=time.perf_counter())
    return "".join(str(frame.content) for frame in heard if frame.type == "response.tts")
