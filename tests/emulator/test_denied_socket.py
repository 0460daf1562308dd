"""A browser WebSocket with a bad session key is refused before the upgrade, and no error is printed."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.emulator import Emulator
from layercode_app.emulator.speech import Silence
from layercode_app.emulator.websocket import websocket_route

from ..serving import serve

pytestmark = pytest.mark.anyio


async def test_a_bad_session_key_is_refused_and_uvicorn_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    emulator = Emulator(AgentSpec("a", "http://127.0.0.1:1/x", "secret"), voice=Silence())
    with caplog.at_level("ERROR", logger="uvicorn.error"):
        async with serve(Starlette(routes=[websocket_route(emulator)])) as url:
            with pytest.raises(InvalidStatus) as refused:
                await connect(url.replace("http", "ws") + "/v1/agents/web/websocket?client_session_key=bad")
    await emulator.aclose()
    assert refused.value.response.status_code == 401
    assert caplog.records == []
