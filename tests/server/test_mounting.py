"""Three lines mount an existing agent in an existing app."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from loguru import logger
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import LayerCode, VoiceAgent
from layercode_app.emulator.webhooks import WebhookClient

from ..calling import SECRET, Caller, settings
from ..serving import serve

pytestmark = pytest.mark.anyio


class Customer:
    """The dependencies type of the app's own agent."""

    def __init__(self, name: str) -> None:
        self.name = name


async def model(messages: Any, info: AgentInfo) -> Any:
    yield f"{info.instructions} Dear caller, "
    await asyncio.sleep(0.2)
    yield "goodbye."


support = Agent(FunctionModel(stream_function=model), deps_type=Customer)


@support.instructions
def who(ctx: RunContext[Customer]) -> str:
    return f"Talking to {ctx.deps.name}."


def shop(tmp_path: Path) -> FastAPI:
    app = FastAPI()

    @app.get("/shop")
    async def goods() -> dict[str, int]:
        return {"bread": 3}

    voice = VoiceAgent("support", support, deps=lambda turn: Customer(turn.metadata["user"]))
    app.mount("/voice", LayerCode(voice, settings=settings(tmp_path)))
    return app


async def test_a_fastapi_app_gains_a_voice_without_its_lifespan_or_its_logging(tmp_path: Path) -> None:
    handlers, root = dict(logger._core.handlers), list(logging.getLogger().handlers)  # type: ignore[attr-defined]
    async with serve(shop(tmp_path)) as url, httpx.AsyncClient(base_url=url) as http:
        async with WebhookClient(f"{url}/voice/api/agent", SECRET) as client:
            reply = await Caller(client, "c").say("hello", metadata={"user": "Ada"})
        assert (await http.get("/shop")).json() == {"bread": 3}
        assert (await http.get("/voice/ready")).json()["status"] == "ok"

    assert reply.spoken == "Talking to Ada. Dear caller, goodbye."
    assert logger._core.handlers == handlers  # type: ignore[attr-defined]
    assert logging.getLogger().handlers == root


async def test_it_can_be_interrupted_and_remembers_what_was_said(tmp_path: Path) -> None:
    app = shop(tmp_path)
    layercode: LayerCode = app.routes[-1].app  # type: ignore[attr-defined]
    async with serve(app) as url, WebhookClient(f"{url}/voice/api/agent", SECRET) as client:
        event = {"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "hello"}
        async with client.deliver(event | {"metadata": {"user": "Ada"}}) as answer:
            async for _ in answer.frames():
                break
        record = None
        for _ in range(100):
            record = await layercode.store.get("c", "t")
            if record is not None and record.finished:
                break
            await asyncio.sleep(0.02)

    assert record is not None
    assert (record.status, record.spoken_text) == ("interrupted", "Talking to Ada. Dear caller, ")
