"""A turn runs equally through server-sent events and in memory. Only `server/` knows the transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, Message
from layercode_app.agent.discovery import discover
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.listener import Listener
from layercode_app.journal.record import Frame

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


class TwoWayCarrier:
    """Carries events to the backend and frames back from it. It does in memory what a WebSocket might do."""

    def __init__(self, app: LayerCode) -> None:
        self._app = app
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, event: Message) -> None:
        async def carry(frames: Sequence[Frame]) -> None:
            for frame in frames:
                await self.received.put({"type": frame.type, "content": frame.content, "turn_id": event.turn_id})

        agent = next(iter(self._app.agents.values()))
        await self._app.turns.admit(AgentRunner(agent), event, Listener(carry), received=time.perf_counter())


async def test_the_same_turn_through_server_sent_events_and_through_memory(tmp_path: Path) -> None:
    app = LayerCode(discover().get("starter"), settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("hello", turn_id="t1")
        carrier = TwoWayCarrier(app)
        await carrier.send(Message(session_id="s", conversation_id="other", turn_id="t1", text="hello"))

    carried = [carrier.received.get_nowait() for _ in range(carrier.received.qsize())]
    assert carried == [{"type": f.type, "content": f.content, "turn_id": f.turn_id} for f in reply.frames]
    assert carried[-1]["type"] == "response.end"
