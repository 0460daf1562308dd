"""With LAYERCODE_MODEL_HTTP2, the calls that are answered at the same time share one connection to the provider."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import ConfigurationError, LayerCode, VoiceAgent
from layercode_app._compat.openai import use_http2
from layercode_app.agent import connections

from ..calling import Caller, calling, settings
from ..certificates import localhost_certificate
from ..forwarding import Link
from ..model_server import ModelServer
from ..ports import free_port

pytestmark = pytest.mark.anyio

CALLERS = 10


class Provider:
    """A model's server with TLS, which offers HTTP/2 and HTTP/1.1; `asked` has the HTTP version of each request.

    Each answer begins only when all callers have asked, so that their requests are open at the same time.
    """

    def __init__(self, offered: list[str], callers: int = CALLERS) -> None:
        self._offered = offered
        self._model = ModelServer(reply=lambda messages: "Good day.")
        self._all_asked = asyncio.Barrier(callers)
        self.asked: list[str] = []
        self.connections: set[Any] = set()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            self.asked.append(scope["http_version"])
            self.connections.add(scope["client"])
            await self._all_asked.wait()
        await self._model.app(scope, receive, send)

    @asynccontextmanager
    async def served(self, folder: Path) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
        certificate, key = localhost_certificate(folder)
        config, port, ended = Config(), free_port(), asyncio.Event()
        config.bind = [f"127.0.0.1:{port}"]
        config.certfile, config.keyfile, config.alpn_protocols = str(certificate), str(key), self._offered
        config.errorlog = None
        serving = asyncio.create_task(serve(self.app, config, shutdown_trigger=ended.wait))
        try:
            self.link = Link(f"https://127.0.0.1:{port}")
            async with self.link.listening() as near:
                yield f"https://localhost:{urlsplit(near).port}/v1", ssl.create_default_context(cafile=certificate)
        finally:
            ended.set()
            await serving


@asynccontextmanager
async def _calling(provider: Provider, folder: Path, **given: Any) -> AsyncIterator[Caller]:
    """Serve an agent that uses this provider, and yield a caller who talks to the agent."""
    async with provider.served(folder) as (url, context), httpx2.AsyncClient(verify=context, trust_env=False) as client:
        model = OpenAIChatModel(
            "gpt-test", provider=OpenAIProvider(base_url=url, api_key="test-key", http_client=client)
        )
        app = LayerCode(VoiceAgent("sharing", Agent(model)), settings=settings(folder, **given))
        async with calling(app) as caller, asyncio.timeout(60):
            yield caller


async def _answered(provider: Provider, folder: Path, **given: Any) -> None:
    """Let several callers of an agent with this provider speak at the same time."""
    async with _calling(provider, folder, **given) as caller:
        callers = [Caller(caller.client, f"conversation-of-{number}") for number in range(CALLERS)]
        replies = await asyncio.gather(*(one.say("hello") for one in callers))
    assert {reply.spoken for reply in replies} == {"Good day."}


async def test_calls_that_are_answered_together_share_a_connection(tmp_path: Path) -> None:
    provider = Provider(["h2", "http/1.1"])
    await _answered(provider, tmp_path, model_http2=True)
    assert provider.asked == ["2"] * CALLERS
    assert len(provider.connections) == 1


async def test_without_it_each_of_them_has_a_connection(tmp_path: Path) -> None:
    provider = Provider(["h2", "http/1.1"])
    await _answered(provider, tmp_path)
    assert provider.asked == ["1.1"] * CALLERS
    assert len(provider.connections) == CALLERS


async def test_a_provider_without_it_is_asked_as_before(tmp_path: Path) -> None:
    provider = Provider(["http/1.1"])
    await _answered(provider, tmp_path, model_http2=True)
    assert provider.asked == ["1.1"] * CALLERS


async def test_a_connection_that_was_lost_costs_no_answer(tmp_path: Path) -> None:
    provider = Provider(["h2"], callers=1)
    async with _calling(provider, tmp_path, model_http2=True) as caller:
        for _ in range(3):
            assert (await caller.say("hello")).spoken == "Good day."
            provider.link.hang_up()
    assert provider.asked == ["2"] * 3
    assert len(provider.connections) == 3


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "find_spec", lambda name: None)
    connections.Connections()
    with pytest.raises(ConfigurationError, match=r"LAYERCODE_MODEL_HTTP2 .* pip install 'layercode-app\[http2\]'"):
        connections.Connections(http2=True)


def test_a_client_that_does_not_expose_the_setting_keeps_its_protocol() -> None:
    assert not use_http2(object())
    assert not use_http2(None)
