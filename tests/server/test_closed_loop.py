"""A turn that runs longer than a server's shutdown is saved, although the server cancels it and closes the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, Turn, VoiceAgent, sign
from layercode_app.journal.record import Status, TurnRecord

from ..calling import SECRET, settings

BODY = b'{"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "hello"}'
SCOPE = {"type": "http", "method": "POST", "path": "/api/agent"}


def talker() -> VoiceAgent[Any, Any]:
    voice: VoiceAgent[Any, Any] = VoiceAgent("talker")

    @voice.on_message
    async def talk(turn: Turn[Any]) -> AsyncIterator[str]:
        yield "One moment. "
        await asyncio.sleep(100)

    return voice


async def cancelled_in_a_turn(app: LayerCode, rounds: int) -> None:
    """Cancel a turn as uvicorn does after `--timeout-graceful-shutdown`, some rounds of the loop before it closes."""
    speaking, headers = asyncio.Event(), [(b"layercode-signature", sign(BODY, SECRET).encode())]
    messages = [{"type": "http.request", "body": BODY}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if b"response.tts" in message.get("body", b""):
            speaking.set()

    request: asyncio.Task[None] = asyncio.ensure_future(app({**SCOPE, "headers": headers}, receive, send))
    await speaking.wait()
    request.cancel()
    for _ in range(rounds):
        await asyncio.sleep(0)


async def stored(app: LayerCode) -> TurnRecord | None:
    """What the journal has, read by the app on another event loop."""
    await app.start()
    record = await app.store.get("c", "t")
    await app.stop()
    return record


@pytest.mark.parametrize("rounds", range(8))
def test_a_turn_that_is_cut_by_the_end_of_its_event_loop_is_saved(rounds: int, tmp_path: Path) -> None:
    app = LayerCode(talker(), settings=settings(tmp_path))
    asyncio.run(cancelled_in_a_turn(app, rounds))
    record = asyncio.run(stored(app))
    assert record is not None
    assert (record.status, record.spoken_text) == (Status.INTERRUPTED, "One moment. ")
