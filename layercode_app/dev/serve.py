"""Serve a development server until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import uvicorn
from loguru import logger

from ..emulator.faults import Faults
from ..emulator.speech import pick_voice
from ..emulator.transcription import transcriber_of
from ..observability.setup import configure, shutdown
from ..observability.uncaught import catch_all
from ..server.announce import announce
from ..server.app import LayerCode
from ..server.collector import spare_the_collector
from ..server.dev import ensure_secret, tell_of_secret, warn_of_git
from ..server.port import listen
from ..server.serve import ServeOptions
from ..server.shutdown import drain_on_signals
from ..server.tunnelling import TunnelBeside, repair_webhook
from ..settings import Settings, export_env_file
from .agents import AgentFiles
from .app import DevApp
from .reload import watching

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DRAIN_SECONDS = 1.0
LINGER_SECONDS = 2
DEV_KEY = "dev-key-of-the-local-emulator"


@dataclass
class DevOptions:
    """What `dev` was asked for."""

    agent: str = ""
    """A name or package.module:attribute; else the project's only agent, or the starter."""
    port: int | None = None
    agents_dir: Path | None = None
    model: str | None = None
    verbose: bool = False
    fault: str = ""
    """What the emulated platform does wrong, such as `duplicate,latency=200`."""
    session_timeout: float | None = None
    voice: Literal["espeak", "silence"] | None = None
    stt: str | None = None
    """Speech recognition: a URL or a command; else the setting's."""
    tunnel: bool = False
    update_webhook: bool = False
    """Point the agent's webhook at the tunnel, and give it back at the end."""
    exported: dict[str, str] = field(default_factory=dict)

    def settings(self, url: str = "") -> Settings:
        """The settings as they are now: the platform they name is the emulator beside us."""
        given: dict[str, Any] = {"host": HOST, "port": self.port, "drain_seconds": DRAIN_SECONDS, "stt": self.stt}
        if url:
            given |= {"api_url": f"{url}/v1", "api_key": DEV_KEY}
        return ServeOptions(verbose=self.verbose, local=True, settings=given).load()


def serve_dev(options: DevOptions) -> None:
    """Serve on 127.0.0.1 until told to stop. Raises DeveloperError before anything listens, when it cannot work."""
    fresh = ensure_secret()
    options.exported = export_env_file()
    configure(options.settings(), verbose=options.verbose, developing=True)
    if fresh:
        tell_of_secret()
    warn_of_git(options.settings())
    # It logs each WebSocket with its address, and that holds the session's key.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "WebSocket" not in str(record.msg))
    repair_webhook(options.settings())
    asyncio.run(_serve(options))


async def _serve(options: DevOptions) -> None:
    with listen(HOST, options.settings().port) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        app = make_dev_app(options, url)
        announce(app.layercode, app.layercode.settings)
        drain_on_signals(app.layercode)
        app.layercode.on_start.append(catch_all)
        spare_the_collector()
        app.layercode.on_stop.append(shutdown)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=LINGER_SECONDS,
        )
        server = DevServer(config, app)
        with _tunnel(options, app.layercode, listener.getsockname()[1]):
            async with watching(app.watched(), lambda: reload(app, options)):
                await server.serve(sockets=[listener])


def _tunnel(options: DevOptions, app: LayerCode, port: int) -> AbstractContextManager[object]:
    """The tunnel, where one was asked for: to the real platform, not to the emulator beside us."""
    if not options.tunnel:
        return nullcontext()
    settings = options.settings().model_copy(update={"port": port})
    secret = settings.secrets_for(next(iter(app.agents)))[0]
    return TunnelBeside(settings, secret=secret, update_webhook=options.update_webhook)


def make_dev_app(options: DevOptions, url: str) -> DevApp:
    """The app that is served at `url`."""
    settings = options.settings(url)
    files = AgentFiles(options.agent, options.agents_dir or settings.agents_dir)
    return DevApp(
        files,
        settings,
        url=url,
        model=options.model,
        voice=pick_voice(options.voice),
        faults=Faults.read(options.fault),
        session_timeout=options.session_timeout,
        transcriber=transcriber_of(settings),
    )


def reload(app: DevApp, options: DevOptions) -> None:
    """Read `.env` and the settings again, and load the agents again. Raises ConfigurationError for wrong settings."""
    options.exported = export_env_file(exported=options.exported)
    app.reload(options.settings(app.url))


class DevServer(uvicorn.Server):
    """Says where the page is when it is there, and ends its open streams first, so that stopping never waits for them."""

    def __init__(self, config: uvicorn.Config, app: DevApp) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve; the address is the last line, where it is looked for."""
        await super().startup(sockets)
        if self.started:
            logger.info("Talk to your agent at {}/", self._app.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is open."""
        self._app.close_streams()
        await super().shutdown(sockets)
