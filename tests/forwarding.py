"""Forward TCP connections between a client and a server of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

CHUNK = 65_536


async def at_once() -> None:
    """Delay nothing."""


async def forward(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
    *,
    delay: Callable[[], Awaitable[None]] = at_once,
) -> None:
    """Copy both directions until either side leaves, then close both. `delay` is awaited before each chunk is sent."""
    ends = ((reader, far_writer), (far_reader, writer))
    pumps = [asyncio.create_task(_pump(*each, delay)) for each in ends]
    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    for pump in pumps:
        pump.cancel()
    await asyncio.wait(pumps)
    far_writer.close()
    writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[], Awaitable[None]]
) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await delay()
            writer.write(data)
            await writer.drain()
