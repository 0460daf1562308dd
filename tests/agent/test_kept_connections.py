"""A connection to the model's provider is kept between the turns of a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent import connections

from ..calling import calling, settings
from ..model_server import ModelServer
from ..serving import serve

pytestmark = pytest.mark.anyio

IDLE = 0.2
"""How long the client of the test keeps an idle connection by itself; 5 seconds is the default."""


class Link:
    """Forwards TCP connections to the model's server, and counts them."""

    def __init__(self, target: str) -> None:
        self._host, self._port = str(urlsplit(target).hostname), int(urlsplit(target).port or 0)
        self.opened = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._forwarding: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self.hang_up()
            await asyncio.gather(*self._forwarding, return_exceptions=True)

    def hang_up(self) -> None:
        """Close all connections, as a provider does with idle ones."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        task: Any = asyncio.current_task()
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, far_writer]
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer), return_exceptions=True)
        for one in (writer, far_writer):
            one.close()
            with suppress(OSError):
                await one.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def an_agent() -> AsyncIterator[tuple[VoiceAgent, Link]]:
    async with serve(ModelServer(reply=lambda messages: "Good day.").app, timeout_keep_alive=60) as server:
        link = Link(server)
        async with link.listening() as url:
            client = httpx2.AsyncClient(limits=httpx2.Limits(keepalive_expiry=IDLE))
            provider = OpenAIProvider(base_url=f"{url}/v1", api_key="test-key", http_client=client)
            async with client:
                yield VoiceAgent("kept", Agent(OpenAIChatModel("gpt-5-mini", provider=provider))), link


async def call(voice: VoiceAgent, link: Link, folder: Path, *, hang_up: bool = False) -> None:
    async with calling(LayerCode(voice, settings=settings(folder))) as caller:
        for text in ("hello", "and?", "well?"):
            assert (await caller.say(text)).spoken == "Good day."
            await asyncio.sleep(2 * IDLE)
            if hang_up:
                link.hang_up()


async def test_no_turn_after_the_first_opens_a_connection(tmp_path: Path) -> None:
    async with an_agent() as (voice, link):
        await call(voice, link, tmp_path)
        assert link.opened == 1


async def test_otherwise_every_turn_opens_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEP_SECONDS", IDLE)
    async with an_agent() as (voice, link):
        await call(voice, link, tmp_path)
        assert link.opened == 3


async def test_a_connection_that_the_provider_closed_costs_no_answer(tmp_path: Path) -> None:
    async with an_agent() as (voice, link):
        await call(voice, link, tmp_path, hang_up=True)
        assert link.opened == 3
