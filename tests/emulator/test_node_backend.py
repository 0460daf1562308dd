"""The emulator drives a backend in another language, built with the platform's official Node SDK."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.speech import Silence

from ..serving import serve
from ..support import NODE, need_node_package, need_program
from .backend import SECRET, Backend
from .platform import READY, Platform

pytestmark = pytest.mark.anyio

AWKWARD = {"2": 2.0, "1": 1e-7, "big": 1e21, "text": "é\u2028😀\ud800", "nested": [{"10": -0.0, "9": 0.1 + 0.2}]}


class NodeBackend:
    """A Node process, and its report about each event that it was sent."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.reports: list[dict[str, Any]] = []

    async def read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        report: dict[str, Any] = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 100))
        return report

    async def until(self, kind: str) -> None:
        """Read reports until one of them is about an event of the type `kind`."""
        while not self.reports or self.reports[-1]["event"]["type"] != kind:
            self.reports.append(await self.read())


@asynccontextmanager
async def node_platform() -> AsyncIterator[tuple[Platform, NodeBackend]]:
    need_node_package("@layercode/node-server-sdk")
    environment = {**os.environ, "LAYERCODE_WEBHOOK_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        need_program("node"), str(NODE / "backend.mjs"), stdout=asyncio.subprocess.PIPE, env=environment, limit=2**20
    )
    backend = NodeBackend(process)
    try:
        port = (await backend.read())["port"]
        app = create_emulator(f"http://127.0.0.1:{port}/", SECRET, voice=Silence(pace=50))
        async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield Platform(url, app.state.emulator, Backend(), http), backend
    finally:
        process.kill()
        await process.wait()


async def test_every_signature_verifies_in_node() -> None:
    async with node_platform() as (p, backend):
        async with p.client(metadata=AWKWARD, custom_metadata={"rate": 16000.0}) as client:
            await client.send(READY)
            assert [m["content"] for m in await client.listen() if m["type"] == "response.text"] == ["Welcome."]
            await client.say("shop é😀")
            await client.listen()
            await client.say("shop")
            data = [m["content"] for m in await client.listen() if m["type"] == "response.data"]
            assert data == [{"basket": {"bun": 2}}]
            await client.send({"type": "client.response.data", "data": AWKWARD})
            answer = (await client.until("response.data"))[-1]["content"]["got"]
            assert answer == AWKWARD
            await client.say("throw")
            await client.listen()
        await backend.until("session.end")
    assert [report["event"]["type"] for report in backend.reports] == [
        "session.start", "message", "message", "data", "message", "session.end",
    ]  # fmt: skip
    assert all(report["verified"] for report in backend.reports)
    assert backend.reports[0]["event"]["metadata"] == AWKWARD
