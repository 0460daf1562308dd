"""A turn is still running when a server's shutdown ends: the server cancels it and closes the event loop.

The turn is saved nevertheless.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, Turn, VoiceAgent, sign
from layercode_app.conversation.carried_speech import taken_from
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

    @voice.on_data
    async def add(turn: Turn[Any], data: Any) -> None:
        turn.say("Added.")

    return voice


async def request(app: LayerCode, body: bytes, speaking: asyncio.Event) -> None:
    """Send a signed request to the app, and set the event when the agent begins to speak."""
    messages = [{"type": "http.request", "body": body}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if b"response.tts" in message.get("body", b""):
            speaking.set()

    await app({**SCOPE, "headers": [(b"layercode-signature", sign(body, SECRET).encode())]}, receive, send)


async def cancelled_in_a_turn(app: LayerCode, rounds: int, *, data: bytes = b"") -> None:
    """Cancel a turn as uvicorn does after `--timeout-graceful-shutdown`. Then let the event loop run `rounds` rounds.

    `data` is the body of a data event that is sent while the turn runs.
    """
    speaking = asyncio.Event()
    turn = asyncio.create_task(request(app, BODY, speaking))
    await speaking.wait()
    if data:
        await request(app, data, speaking)
    turn.cancel()
    for _ in range(rounds):
        await asyncio.sleep(0)


async def stored(app: LayerCode) -> TurnRecord | None:
    """Return the record of the turn. The app reads it from the journal on another event loop."""
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


def test_words_of_a_data_event_are_kept_once_if_the_save_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = LayerCode(talker(), settings=settings(tmp_path))
    save, tries = app.store.save, []

    async def cut_at_first(record: TurnRecord, **given: Any) -> None:
        if record.key == ("c", "t") and record.finished:
            tries.append(record.status)
            if len(tries) == 1:
                await asyncio.Event().wait()
        await save(record, **given)

    monkeypatch.setattr(app.store, "save", cut_at_first)
    data = b'{"type": "data", "session_id": "s", "conversation_id": "c", "data": {}}'
    asyncio.run(cancelled_in_a_turn(app, 20, data=data))

    async def waiting() -> Any:
        await app.start()
        metadata = (await app.store.conversation("c")).metadata
        await app.stop()
        return taken_from(metadata)[1]

    assert [said["say"] for said in asyncio.run(waiting())] == ["Added."]
    assert len(tries) == 2
