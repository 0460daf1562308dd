"""Disconnect from a call, or kill its server, as soon as the agent has said a given word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app.exceptions import DeliveryError

from ..calling import Caller
from ..server_process import ServerProcess


async def heard_until(
    caller: Caller, text: str, turn_id: str, word: str, *, server: ServerProcess | None = None, **more: Any
) -> str:
    """Deliver a message, and listen until this word was said. Then kill the server if it is given, or else disconnect.

    Return what was said.
    """
    ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id, "turn_id": turn_id}
    spoken = ""
    async with caller.client.deliver({"type": "message", "text": text, **ids, **more}) as answer:
        async for frame in answer.frames():
            spoken += str(frame.payload.get("content", ""))
            if word in spoken and server is None:
                break
            if word in spoken and server is not None:
                await asyncio.to_thread(server.kill)
    return spoken


async def killed_at(server: ServerProcess, caller: Caller, text: str, turn_id: str, word: str, **more: Any) -> None:
    """Deliver a message, kill the server when this word was said, and start the server again."""
    with pytest.raises(DeliveryError):
        await heard_until(caller, text, turn_id, word, server=server, **more)
    await asyncio.to_thread(server.start)
