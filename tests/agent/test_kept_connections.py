"""A connection to the model's provider is kept between the turns of a call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncOpenAI
from openai.resources.chat.completions import completions
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import LayerCode, VoiceAgent
from layercode_app._compat.openai import has_idle_connection, http_client, wrap_transports
from layercode_app._compat.openai_requests import CONVERTER
from layercode_app.agent import open_calls
from layercode_app.agent.models import models_of, single_models
from layercode_app.agent.open_calls import OpenCalls
from layercode_app.agent.resent_requests import ResendingTransport
from layercode_app.webhook import parse_event

from ..calling import calling, settings
from ..forwarding import Link
from ..model_server import ModelServer
from ..serving import serve

pytestmark = pytest.mark.anyio

IDLE = 0.2
"""How long the client of the test keeps an idle connection by itself; 5 seconds is the default."""


@asynccontextmanager
async def an_agent() -> AsyncIterator[tuple[VoiceAgent, Link]]:
    async with serve(ModelServer(reply=lambda messages: "Good day.").app, timeout_keep_alive=60) as server:
        link = Link(server)
        async with link.listening() as url:
            client = httpx2.AsyncClient(limits=httpx2.Limits(keepalive_expiry=IDLE))
            provider = OpenAIProvider(base_url=f"{url}/v1", api_key="test-key", http_client=client)
            async with client:
                yield VoiceAgent("kept", Agent(OpenAIChatModel("gpt-5-mini", provider=provider))), link


async def call(voice: VoiceAgent, link: Link, folder: Path, *, hang_up: bool = False, **given: Any) -> None:
    async with calling(LayerCode(voice, settings=settings(folder, **given))) as caller:
        for text in ("hello", "and?", "well?"):
            assert (await caller.say(text)).spoken == "Good day."
            await asyncio.sleep(2 * IDLE)
            if hang_up:
                link.hang_up()


async def test_no_turn_after_the_first_opens_a_connection(tmp_path: Path) -> None:
    async with an_agent() as (voice, link):
        await call(voice, link, tmp_path)
        assert link.opened == 1


async def test_otherwise_every_turn_opens_one(tmp_path: Path) -> None:
    async with an_agent() as (voice, link):
        await call(voice, link, tmp_path, model_keep_alive=IDLE)
        assert link.opened == 3


async def test_a_connection_that_the_provider_closed_costs_no_answer(tmp_path: Path) -> None:
    async with an_agent() as (voice, link):
        await call(voice, link, tmp_path, hang_up=True)
        assert link.opened == 3


class HalfDead:
    """A server that answers the first `answered` requests of each connection.

    At the next request, it closes the connection without sending a byte.
    """

    def __init__(self, answered: int = 1) -> None:
        self.opened = 0
        self.requests: list[bytes] = []
        self._answered = answered

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            for number in range(self._answered + 1):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
                self.requests.append(await reader.readexactly(length))
                if number < self._answered:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    await writer.drain()
        writer.close()


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_request_on_a_stale_connection_is_sent_again_on_a_new_one(library: Any) -> None:
    server = HalfDead()
    async with server.listening() as url, library.AsyncClient(trust_env=False) as client:
        assert wrap_transports(client, ResendingTransport)
        for number in range(3):
            response = await client.post(url, json={"number": number})
            assert response.text == "ok"
    assert server.opened == 3
    assert [body[-2:-1] for body in server.requests] == [b"0", b"1", b"1", b"2", b"2"]


async def test_all_idle_connections_may_be_stale() -> None:
    server = HalfDead()
    async with server.listening() as url, httpx2.AsyncClient(trust_env=False) as client:
        wrap_transports(client, ResendingTransport)
        await asyncio.gather(*[client.post(url, json={}) for _ in range(4)])
        assert (await client.post(url, json={})).text == "ok"
    assert server.opened == 5


async def test_an_error_on_a_new_connection_is_raised_after_one_request() -> None:
    server = HalfDead(answered=0)
    async with server.listening() as url, httpx2.AsyncClient(trust_env=False) as client:
        wrap_transports(client, ResendingTransport)
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(url, json={})
    assert len(server.requests) == 1


async def test_a_body_that_is_used_up_is_not_sent_again() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"1234"

    server = HalfDead()
    async with server.listening() as url, httpx2.AsyncClient(trust_env=False) as client:
        wrap_transports(client, ResendingTransport)
        await client.post(url, json={})
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(url, content=body(), headers={"content-length": "4"})
    assert server.requests == [b"{}", b"1234"]


async def test_a_callers_own_trace_is_kept() -> None:
    names: list[str] = []

    async def trace(name: str, info: Any) -> None:
        names.append(name)

    server = HalfDead()
    async with server.listening() as url, httpx2.AsyncClient(trust_env=False) as client:
        wrap_transports(client, ResendingTransport)
        wrap_transports(client, ResendingTransport)
        transport: Any = client._transport
        assert not hasattr(transport.wrapped, "wrapped")
        await client.post(url, json={}, extensions={"trace": trace})
    assert "connection.connect_tcp.started" in names
    assert "http11.receive_response_body.started" in names


async def test_a_call_that_begins_opens_a_connection_and_keeps_one_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_calls, "LOOK_SECONDS", 0.02)
    async with an_agent() as (voice, link):
        calls = OpenCalls()
        started, ended = (
            parse_event(
                f'{{"type": "session.{what}", "session_id": "s", "conversation_id": "c", "turn_id": "t"}}'.encode()
            )
            for what in ("start", "end")
        )
        calls.note(voice, started)
        await _until(lambda: link.opened == 1)
        await _until(lambda: has_idle_connection(http_client(voice.agent.model)))  # type: ignore[union-attr]
        link.hang_up()
        await _until(lambda: link.opened >= 2)
        calls.note(voice, ended)
        await _until(lambda: calls._timer is None)
        await calls.close()


async def test_an_agent_without_a_model_opens_nothing() -> None:
    calls = OpenCalls()
    calls.note(
        VoiceAgent("echo"),
        parse_event(b'{"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "x"}'),
    )
    assert calls._timer is None


async def _until(reached: Callable[[], bool]) -> None:
    while not reached():
        await asyncio.sleep(0.005)


async def test_agents_of_one_provider_share_their_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(ModelServer(reply=lambda messages: "Good day.").app, timeout_keep_alive=60) as server:
        link = Link(server)
        async with link.listening() as url:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
            monkeypatch.setenv("OPENAI_API_KEY", "test-key")
            given = settings(tmp_path, default_model="openai-chat:gpt-one", fallback_models=("openai-chat:gpt-two",))
            app = LayerCode(VoiceAgent("one", Agent()), VoiceAgent("two", Agent()), settings=given)
            async with calling(app, agent="one") as caller:
                for agent in ("one", "two"):
                    caller.client.url = caller.client.url.copy_with(path=f"/api/agents/{agent}")
                    assert (await caller.say("hello")).spoken == "Good day."
            assert link.opened == 1
            another = LayerCode(VoiceAgent("one", Agent()), settings=given)
    first, second = (next(single_models(models_of(one.agents.values()))).provider for one in (app, another))
    assert first is not second, "the next start may have another key"


async def test_each_request_is_sent_by_the_same_client_without_converting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Any] = []
    converted: list[Any] = []
    make: Any = vars(AsyncOpenAI)["with_options"]

    def with_options(self: Any, **options: Any) -> Any:
        copied.append(self)
        return make(self, **options)

    async def convert(data: Any, expected: Any) -> Any:
        converted.append(data)
        return data

    monkeypatch.setattr(AsyncOpenAI, "with_options", with_options)
    monkeypatch.setattr(completions, CONVERTER, convert)
    async with an_agent() as (agent, _), calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        for _ in range(3):
            assert (await caller.say("hello")).spoken == "Good day."
    assert len(copied) == 1
    assert converted == []
