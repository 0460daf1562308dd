"""Serve an ASGI app on real sockets, in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from websockets.exceptions import InvalidState

from layercode_app.emulator.websocket import PING_SECONDS
from layercode_app.server.port import listen

LOOK_SECONDS = 0.005
LINGER_SECONDS = 2
ITERATIONS = 5


@asynccontextmanager
async def serve(app: Any, *, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Serve the app on 127.0.0.1, and yield its base URL. With port 0, a free port is chosen."""
    with listen("127.0.0.1", port) as listener:
        server = QuickServer(uvicorn.Config(app, log_config=None, ws_ping_interval=PING_SECONDS, **options))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(LOOK_SECONDS)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.end()
            await task
            await abort_connections(server)


async def abort_connections(server: uvicorn.Server) -> None:
    """Abort the connections that did not end in time, and those that were accepted at the last moment.

    A connection appears in the server's list some iterations of the loop after it was accepted. So a late one would be
    left open if the test's loop ended now.
    """
    for _ in range(ITERATIONS):
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class QuickServer(uvicorn.Server):
    """A server that stops as soon as it can.

    uvicorn's own server checks only ten times a second whether it should stop. Hundreds of tests would wait for that.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers.

        When uvicorn's own server stops, it restores the handlers that it found when it started. If another server
        started earlier and has already stopped, these are the handlers of the stopped server.
        """
        yield

    def end(self) -> None:
        """Tell the server to stop. It accepts no new connections, and gives running requests LINGER_SECONDS to end."""
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        listeners: list[asyncio.Server | socket.socket] = [*self.servers, *(sockets or [])]
        for listener in listeners:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            # Uvicorn sends its own close frame even if the page has just closed the socket; such a connection ends by itself.
            with suppress(InvalidState):
                connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while state.connections or state.tasks:
                    await asyncio.sleep(LOOK_SECONDS)
        for running in list(state.tasks):
            running.cancel()
        await self.lifespan.shutdown()
