"""Forward TCP connections between a client and a server of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

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


class Link:
    """Forwards TCP connections to the server at a URL, and counts them."""

    def __init__(self, target: str) -> None:
        self._host, self._port = str(urlsplit(target).hostname), int(urlsplit(target).port or 0)
        self.opened = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._forwarding: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self.hang_up()
            await asyncio.gather(*self._forwarding, return_exceptions=True)

    def hang_up(self) -> None:
        """Close all connections, as a provider does with idle ones."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        task: Any = asyncio.current_task()
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, far_writer]
        await forward(reader, writer, far_reader, far_writer)
        for one in (writer, far_writer):
            with suppress(OSError):
                await one.wait_closed()
