"""A whole development server, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from layercode_app.dev.agents import AgentFiles
from layercode_app.dev.app import DevApp
from layercode_app.dev.serve import DevServer
from layercode_app.emulator.speech import Voice
from layercode_app.emulator.transcription import Transcriber
from layercode_app.emulator.websocket import PING_SECONDS
from layercode_app.server.port import listen

from ..calling import settings
from ..serving import QuickServer, abort_connections

AGENTS = Path(__file__).parent / "agents"


class _Server(DevServer, QuickServer):
    """Leaves the signals to the test runner."""

    @contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def dev_server(
    tmp_path: Path,
    *,
    agents: Path = AGENTS,
    agent: str = "shop",
    voice: Voice | None = None,
    transcriber: Transcriber | None = None,
    **given: Any,
) -> AsyncIterator[DevApp]:
    """Serve the agent files of a folder with emulator and page; the app knows its `url`."""
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        values = {"agents_dir": agents, "api_url": f"{url}/v1", "api_key": "test-key", "authorize_agents": "*", **given}
        app = DevApp(
            AgentFiles(agent, agents),
            settings(tmp_path, **values),
            url=url,
            voice=voice,
            recordings=tmp_path,
            project=tmp_path,
            transcriber=transcriber,
        )
        config = uvicorn.Config(
            app, log_config=None, lifespan="on", timeout_graceful_shutdown=2, ws_ping_interval=PING_SECONDS
        )
        server = _Server(config, app)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        try:
            yield app
        finally:
            server.end()
            await task
            await abort_connections(server)
