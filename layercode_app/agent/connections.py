"""What agents keep open while they are served: their models' HTTP clients and their toolsets' servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from typing import Any

from loguru import logger

from .voice_agent import VoiceAgent


class Connections:
    """Opens and closes them in one task of its own: what is entered in one task may not be left in another."""

    def __init__(self) -> None:
        self._close = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, voices: Iterable[VoiceAgent[Any, Any]]) -> None:
        """Open what these agents need; what fails is logged, and tried again by each turn."""
        opened = asyncio.Event()
        self._tasks.append(asyncio.create_task(self._keep(list(voices), opened), name="agent-connections"))
        await opened.wait()

    async def close(self) -> None:
        """Close everything."""
        self._close.set()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self, voices: list[VoiceAgent[Any, Any]], opened: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            for voice in voices:
                for part in (voice.model, voice.agent):
                    if part is not None:
                        await _enter(stack, part, voice.name)
            opened.set()
            await self._close.wait()


async def _enter(stack: AsyncExitStack, part: Any, name: str) -> None:
    try:
        await stack.enter_async_context(part)
    except Exception as error:  # noqa: BLE001 - a tool server that is down must not keep the others from serving
        logger.opt(exception=error).error("Agent {!r} could not open {}: {}", name, type(part).__name__, error)
