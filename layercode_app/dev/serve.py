"""Run a development server until it is stopped."""

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
from ..emulator.speech import Silence, pick_voice
from ..emulator.transcription import transcriber_of
from ..emulator.websocket import PING_SECONDS
from ..exceptions import ConfigurationError
from ..observability.setup import configure, shutdown
from ..observability.uncaught import catch_all
from ..server.announce import announce, announce_address, tell_of_settings
from ..server.app import LayerCode
from ..server.collector import spare_the_collector
from ..server.port import listen_from
from ..server.serve import ServeOptions
from ..server.shutdown import drain_on_signals, hangup_as_term
from ..server.tunnelling import TunnelBeside, repair_webhook
from ..settings import Settings, export_env_file
from .agents import AgentFiles
from .app import DevApp
from .first_start import ensure_secret, tell_of_secret, warn_of_git
from .reload import watching

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DRAIN_SECONDS = 1.0
LINGER_SECONDS = 2
DEV_KEY = "dev-key-of-the-local-emulator"


@dataclass
class DevOptions:
    """The options of `dev`."""

    agent: str = ""
    """A name or package.module:attribute; by default the project's only or first agent, or the starter."""
    port: int | None = None
    agents_dir: Path | None = None
    model: str | None = None
    verbose: bool = False
    fault: str = ""
    """Faults of the emulated platform, such as `duplicate,latency=200`."""
    session_timeout: float | None = None
    voice: Literal["espeak", "silence"] | None = None
    stt: str | None = None
    """Speech recognition: a URL or a command; by default from the settings."""
    tunnel: bool = False
    update_webhook: bool = False
    """Whether to point the agent's webhook at the tunnel, and restore the webhook at the end."""
    exported: dict[str, str] = field(default_factory=dict)

    def settings(self, url: str = "") -> Settings:
        """Read the current settings. With a `url`, the platform is the emulator at that URL."""
        given: dict[str, Any] = {"host": HOST, "port": self.port, "drain_seconds": DRAIN_SECONDS, "stt": self.stt}
        if url:
            given |= {"api_url": f"{url}/v1", "api_key": DEV_KEY}
        return ServeOptions(verbose=self.verbose, local=True, settings=given).load()


def serve_dev(options: DevOptions) -> None:
    """Serve on 127.0.0.1 until stopped. Raises DeveloperError for a wrong setup, before any request is answered."""
    fresh = ensure_secret()
    options.exported = export_env_file()
    configure(options.settings(), verbose=options.verbose, developing=True)
    if fresh:
        tell_of_secret()
    warn_of_git(options.settings())
    tell_of_settings()
    # Drop uvicorn's lines about WebSockets: their URLs contain the session's key.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "WebSocket" not in str(record.msg))
    repair_webhook(options.settings())
    asyncio.run(_serve(options))


async def _serve(options: DevOptions) -> None:
    wanted = options.settings().port
    with listen_from(HOST, wanted) as listener:
        port = listener.getsockname()[1]
        if wanted not in (port, 0):
            logger.warning("Port {} is taken by another program, so this server listens on {}.", wanted, port)
        app = make_dev_app(options, f"http://{HOST}:{port}")
        announce(app.layercode, app.layercode.settings, off=_off(app, options))
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
            ws_ping_interval=PING_SECONDS,
        )
        server = DevServer(config, app)
        with hangup_as_term(), _tunnel(options, app.layercode, port):
            async with watching(app.watched, lambda: reload(app, options)):
                await server.serve(sockets=[listener])


def _off(app: DevApp, options: DevOptions) -> list[str]:
    """Return the page's features that are off. Each text also tells how to turn the feature on."""
    silent = options.voice is None and isinstance(app.emulator.voice, Silence)
    return ["the page's voice (install espeak-ng)"] if silent else []


def _tunnel(options: DevOptions, app: LayerCode, port: int) -> AbstractContextManager[object]:
    """Return the tunnel if requested. It connects to the real platform, not to the emulator."""
    if not options.tunnel:
        return nullcontext()
    settings = options.settings().model_copy(update={"port": port})
    secret = settings.secrets_for(next(iter(app.agents)))[0]
    return TunnelBeside(settings, secret=secret, update_webhook=options.update_webhook)


def make_dev_app(options: DevOptions, url: str) -> DevApp:
    """Return the app to serve at `url`."""
    settings = options.settings(url)
    files = AgentFiles(options.agent, options.agents_dir or settings.agents_dir)
    app = DevApp(
        files,
        settings,
        url=url,
        model=options.model,
        voice=pick_voice(options.voice),
        faults=Faults.read(options.fault),
        session_timeout=options.session_timeout,
        transcriber=transcriber_of(settings),
    )
    app.emulator.feed.tell_notices(_log_notice)
    return app


def _log_notice(text: str) -> None:
    # Log the notice, do not print it. If no program reads stderr, a print would raise an error or block the emulator.
    logger.warning("{}", text)


def reload(app: DevApp, options: DevOptions) -> None:
    """Read `.env` and the settings again, and reload the agents. If the settings are wrong, the page shows the error."""
    try:
        options.exported = export_env_file(exported=options.exported)
        settings = options.settings(app.url)
    except ConfigurationError as error:
        app.refuse_reload(error)
    else:
        app.reload(_with_secret(settings, app.layercode.settings))


def _with_secret(settings: Settings, running: Settings) -> Settings:
    """Return the new settings. If their webhook secret is missing, set it to the webhook secret of `running`.

    The webhooks of open calls are signed with the secret of `running`.
    """
    if settings.webhook_secret:
        return settings
    logger.warning("The webhook secret was removed from the settings. It is still used until `dev` stops.")
    return settings.model_copy(update={"webhook_secret": running.webhook_secret})


class DevServer(uvicorn.Server):
    """A uvicorn server that logs the page's URL on startup, and on shutdown first ends the page's streams and calls."""

    def __init__(self, config: uvicorn.Config, app: DevApp) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, then log the address, as the last line so that it is easy to find."""
        await super().startup(sockets)
        if self.started:
            announce_address("Talk to your agent at {}/", self._app.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the page's streams and calls, then shut down.

        Otherwise, uvicorn's shutdown would wait for the streams. It would also refuse the last webhooks of the calls,
        such as `session.end`, because it begins by closing the socket.
        """
        self._app.close_streams()
        if not self.force_exit:
            await self._app.emulator.end_sessions()
        await super().shutdown(sockets)
