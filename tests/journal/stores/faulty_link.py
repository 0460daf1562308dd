"""A proxy on 127.0.0.1 in front of a server: it can break its connections, or delay what goes through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ...forwarding import forward


@dataclass
class FaultyLink:
    """The link to a server."""

    to: int
    """The server's port."""
    port: int = 0
    delay: float = 0.0
    """Seconds that each message takes, in each direction."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def break_connections(self) -> None:
        """Reset all present connections. New connections are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up, down = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, down}
        await forward(reader, writer, up, down, delay=lambda: asyncio.sleep(self.delay))
        self._writers -= {writer, down}


@asynccontextmanager
async def faulty_link(to: int) -> AsyncIterator[FaultyLink]:
    """Open a link to a port of 127.0.0.1."""
    link = FaultyLink(to)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        link.break_connections()
        server.close()
        await asyncio.sleep(0.05)  # until the forwarders of the broken connections have ended
