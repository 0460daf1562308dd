"""Nagle's algorithm is disabled on every socket that answers, because it would delay streamed answers by 40 ms."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn

from layercode_app import LayerCode, VoiceAgent
from layercode_app.exceptions import ConfigurationError
from layercode_app.server.connections import BoundedConnection, Bounds
from layercode_app.server.embedded import serving
from layercode_app.server.port import listen
from layercode_app.settings import Settings

from ..calling import settings
from ..dev.serving import dev_server
from ..serving import QuickServer

pytestmark = pytest.mark.anyio


def echo(given: Settings) -> LayerCode:
    return LayerCode(VoiceAgent("alone", greeting="Hi."), settings=given)


@asynccontextmanager
async def dev(folder: Path) -> AsyncIterator[str]:
    async with dev_server(folder) as app:
        yield app.url


@asynccontextmanager
async def chat(folder: Path) -> AsyncIterator[str]:
    async with serving(echo(settings(folder))) as url:
        yield url


@asynccontextmanager
async def run_with_workers(folder: Path) -> AsyncIterator[str]:
    """Serve on a socket that uvicorn binds, in the same way as the worker processes of the command `run`.

    Uvicorn creates this socket without stating the protocol TCP, so asyncio does not disable Nagle's algorithm itself.
    """
    given = settings(folder)
    bounded = partial(BoundedConnection, bounds=Bounds.of(given))
    config = uvicorn.Config(echo(given), host="127.0.0.1", port=0, log_config=None, http=bounded)  # type: ignore[arg-type]
    server = QuickServer(config)
    with config.bind_socket() as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.end()
        await task


def accepted_from(address: object) -> socket.socket:
    """Return the server's socket of the connection from `address`. The server runs in this process."""
    for item in gc.get_objects():
        if type(item) is socket.socket and item.fileno() >= 0 and item.family == socket.AF_INET:
            try:
                if item.getpeername() == address:
                    return item
            except OSError:  # a listener
                continue
    raise AssertionError(f"no connection from {address}")


@pytest.mark.parametrize("server", [dev, chat, run_with_workers])
async def test_an_accepted_socket_sends_at_once(
    tmp_path: Path, server: Callable[[Path], AbstractAsyncContextManager[str]]
) -> None:
    async with server(tmp_path) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert b"200" in await reader.readline()
        connection = accepted_from(writer.get_extra_info("sockname"))
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} on 127.0.0.1 cannot be used"):
            listen("127.0.0.1", port)
