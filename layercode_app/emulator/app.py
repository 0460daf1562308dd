"""The emulator as an ASGI app, standalone or mounted next to an agent server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware

from .agents import AgentSpec
from .emulator import Emulator
from .faults import Faults
from .guard import Guard
from .protocol import Style, Trigger
from .rest import rest_routes
from .speech import Voice
from .transcription import Transcriber
from .webhooks import check_url
from .websocket import websocket_route

DEFAULT_AGENT = "agent"


def create_emulator(
    webhook_url: str,
    secret: str,
    *,
    agents: Sequence[AgentSpec] = (),
    session_webhook_url: str | None = None,
    style: Style = "session.start",
    trigger: Trigger = "automatic",
    can_interrupt: bool = True,
    session_timeout: float | None = None,
    api_key: str | None = None,
    voice: Voice | None = None,
    recordings: Path | None = None,
    faults: Faults | None = None,
    transcriber: Transcriber | None = None,
    notices: Callable[[str], object] | None = None,
) -> Starlette:
    """Return an app that emulates the platform for the backend at `webhook_url` with the webhook secret `secret`.

    Raises ConfigurationError for an invalid webhook URL. `notices` is called with one line for each event that a person
    should see, such as a failed webhook.

    The base URL of the emulated platform is `http://<host>:<port>/v1`. `app.state.emulator` is the app's Emulator,
    with its `feed`, `faults` and `sessions`. If you mount the app without running its lifespan, call
    `emulator.aclose()` at the end.
    """
    for url in filter(None, (webhook_url, session_webhook_url)):
        check_url(url)
    default = AgentSpec(
        DEFAULT_AGENT,
        webhook_url,
        secret,
        session_webhook_url=session_webhook_url,
        style=style,
        trigger=trigger,
        can_interrupt=can_interrupt,
        session_timeout=session_timeout,
    )
    emulator = Emulator(
        default,
        agents=agents,
        api_key=api_key,
        voice=voice,
        recordings=recordings,
        faults=faults,
        transcriber=transcriber,
    )
    if notices is not None:
        emulator.feed.tell_notices(notices)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await emulator.aclose()

    routes = [*rest_routes(emulator), websocket_route(emulator)]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, page=False)], lifespan=lifespan)
    app.state.emulator = emulator
    return app
