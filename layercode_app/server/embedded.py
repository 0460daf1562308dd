"""Run a server inside another program, such as `chat`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from .app import LayerCode
from .port import listen


@asynccontextmanager
async def serving(app: LayerCode) -> AsyncIterator[str]:
    """Serve an app on a free port of 127.0.0.1 in this event loop; yield its URL."""
    with listen("127.0.0.1", 0) as listener:
        server = _EmbeddedServer(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


class _EmbeddedServer(uvicorn.Server):
    """A uvicorn server without signal handlers: the program that runs it handles the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield
