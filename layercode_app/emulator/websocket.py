"""The WebSocket for the official browser clients, with one span per connection if tracing is on."""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import ContextVar
from typing import Any

from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..exceptions import PlatformAPIError
from ..observability import request_spans
from ..output.visible import json_text
from .emulator import Emulator
from .javascript import parse
from .session import Session

PATH = "/v1/agents/web/websocket"
PING_SECONDS = None
"""No pings: on loopback a lost peer is noticed anyway, and uvicorn 0.54 fails if it pings a closing socket."""

_denied: ContextVar[bool] = ContextVar("layercode_websocket_denied", default=False)
"""Whether this task refused its connection on purpose."""


class _Quiet(logging.Filter):
    """A log filter that drops uvicorn's error about a missing handshake after a refused upgrade."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (_denied.get() and "completing handshake" in record.getMessage())


def websocket_route(emulator: Emulator) -> WebSocketRoute:
    """Return the route of the browser WebSocket."""
    uvicorn_log = logging.getLogger("uvicorn.error")
    if not any(isinstance(one, _Quiet) for one in uvicorn_log.filters):
        uvicorn_log.addFilter(_Quiet())

    async def endpoint(websocket: WebSocket) -> None:
        try:
            grant = emulator.redeem(websocket.query_params.get("client_session_key"))
        except PlatformAPIError as error:
            # Refuse before the upgrade, so that the client sees a refused connection.
            await websocket.send_denial_response(JSONResponse({"error": str(error)}, error.status or 401))
            _denied.set(True)
            return
        await websocket.accept()
        outbox: asyncio.Queue[dict[str, Any] | str] = asyncio.Queue()
        session = emulator.open(
            grant,
            send=outbox.put_nowait,
            hang_up=outbox.put_nowait,
            ip_address=websocket.client.host if websocket.client else "127.0.0.1",
            base_url=str(websocket.base_url).rstrip("/").replace("ws", "http", 1),
        )
        about = {"gen_ai.conversation.id": grant.conversation_id, "gen_ai.agent.name": grant.agent.name}
        with request_spans.request("websocket", lambda: about, received=time.perf_counter()):
            await _serve(emulator, session, websocket, outbox)

    return WebSocketRoute(PATH, endpoint)


async def _serve(
    emulator: Emulator, session: Session, websocket: WebSocket, outbox: asyncio.Queue[dict[str, Any] | str]
) -> None:
    """Relay messages until one side is done, then end the session in the background."""
    sides = [asyncio.create_task(_receive(websocket, session)), asyncio.create_task(_send(websocket, outbox))]
    try:
        await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
    finally:
        emulator.spawn(emulator.close(session))
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)


async def _receive(websocket: WebSocket, session: Session) -> None:
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        try:
            content = parse(message.get("text") or "null")
        except ValueError:
            continue
        if isinstance(content, dict):
            session.receive(content)


async def _send(websocket: WebSocket, outbox: asyncio.Queue[dict[str, Any] | str]) -> None:
    """Send messages in order. A string instead of a message closes the connection, with the string as reason."""
    try:
        while isinstance(item := await outbox.get(), dict):
            await websocket.send_text(json_text(item, ensure_ascii=True))
        await websocket.close(reason=item)
    except (WebSocketDisconnect, RuntimeError):
        return
