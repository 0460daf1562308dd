"""A client may disconnect at any point. The emulator logs no traceback and continues to serve."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.speech import Silence

from ..calling import SECRET
from ..dev.serving import dev_server
from ..serving import serve

pytestmark = pytest.mark.anyio

JSON = "content-type: application/json\r\ncontent-length: 500\r\n"
UPGRADE = (
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
POSTS = ["/v1/agents/web/authorize_session", "/v1/agents/agent", "/v1/agents/agent/calls/initiate_outbound"]
PAGE_POSTS = ["/dev/api/sessions", "/dev/api/fork", "/dev/api/speech", "/api/authorize", "/api/agent"]


async def leave(url: str, request: str, *, reset: bool, after: float = 0.0) -> None:
    """Send the beginning of a request, wait `after` seconds, and disconnect.

    With `reset`, disconnect with a TCP reset, else with a normal close.
    """
    where = urlsplit(url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(request.replace("host: x", f"host: {where.netloc}").encode())
    await writer.drain()
    await asyncio.sleep(after)
    if reset:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.close()


def posts(*paths: str) -> list[str]:
    """Return for each path the beginning of a POST request, whose body is not complete."""
    return [f'POST {path} HTTP/1.1\r\nhost: x\r\n{JSON}\r\n{{"agent' for path in paths]


@asynccontextmanager
async def no_errors(caplog: pytest.LogCaptureFixture, url: str, path: str) -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0.05)
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        assert (await http.get(path)).status_code == 200
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [(record.name, record.getMessage()) for record in errors] == []


@pytest.mark.parametrize("reset", [False, True])
async def test_at_the_emulator(caplog: pytest.LogCaptureFixture, reset: bool) -> None:
    app = create_emulator("http://127.0.0.1:1/hook", SECRET, voice=Silence(pace=1000))
    async with serve(app) as url, no_errors(caplog, url, "/v1/agents"):
        for after in (0.0, 0.01):
            key = app.state.emulator.authorize("agent").key
            handshake = f"GET /v1/agents/web/websocket?client_session_key={key} HTTP/1.1\r\nhost: x\r\n{UPGRADE}\r\n"
            for request in [*posts(*POSTS), handshake, "GET /v1/agents HTTP/1.1\r\nhost: x\r\n\r\n"]:
                await leave(url, request, reset=reset, after=after)


@pytest.mark.parametrize("reset", [False, True])
async def test_at_the_dev_server(caplog: pytest.LogCaptureFixture, tmp_path: Path, reset: bool) -> None:
    async with dev_server(tmp_path, voice=Silence(pace=1000)) as app, no_errors(caplog, app.url, "/dev/api/agents"):
        for request in [*posts(*PAGE_POSTS, *POSTS), "GET /dev/api/live HTTP/1.1\r\nhost: x\r\n\r\n"]:
            await leave(app.url, request, reset=reset, after=0.01)
