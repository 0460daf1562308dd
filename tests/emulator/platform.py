"""The emulator between a client and a backend, all over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.speech import Silence, duration

from ..serving import serve
from .backend import SECRET, Backend

READY = {"type": "client.ready"}


class Client:
    """A browser's connection, without a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message))

    async def say(self, text: str) -> None:
        await self.send({"type": "client.response.text", "content": text})

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Return all messages up to the next one of this type."""
        got: list[dict[str, Any]] = []
        async with asyncio.timeout(100):
            while not got or got[-1]["type"] != kind:
                raw = await self.socket.recv()
                assert len(raw) < 2**20
                got.append(json.loads(raw))
        return got

    async def listen(self) -> list[dict[str, Any]]:
        """Return the remaining messages of a turn, after its audio has been played."""
        got = await self.until("response.end")
        audio = (base64.b64decode(m["content"]) for m in got if m["type"] == "response.audio")
        # Begin to wait only now, when all audio has been sent. So the wait is long enough even on a busy machine.
        await asyncio.sleep(sum(map(duration, audio)) + 0.05)
        return got


@dataclass
class Platform:
    url: str
    emulator: Any
    backend: Backend
    http: httpx.AsyncClient
    backend_url: str = ""

    async def authorize(self, **fields: Any) -> dict[str, Any]:
        body = json.dumps({"agent_id": "a", **fields}).encode()
        headers = {"content-type": "application/json"}
        response = await self.http.post("/v1/agents/web/authorize_session", content=body, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    @asynccontextmanager
    async def client(self, key: str | None = None, **fields: Any) -> AsyncIterator[Client]:
        key = key or (await self.authorize(**fields))["client_session_key"]
        address = self.url.replace("http", "ws", 1) + f"/v1/agents/web/websocket?client_session_key={key}"
        async with connect(address) as socket:
            yield Client(socket)


@asynccontextmanager
async def platform(pace: float = 20, **options: Any) -> AsyncIterator[Platform]:
    """Start an emulator and a backend on real sockets.

    Speech is silence, played `pace` times as fast as real speech.
    """
    backend = Backend()
    async with serve(backend) as webhook:
        app = create_emulator(f"{webhook}/hook", SECRET, voice=Silence(pace=pace), **options)
        async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield Platform(url, app.state.emulator, backend, http, webhook)


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]
