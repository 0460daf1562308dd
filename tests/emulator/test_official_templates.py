"""Small copies of the platform's full-stack templates answer a whole call from the emulator.

Each copy keeps the history as its template does.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from layercode_app import verify
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.protocol import Style
from layercode_app.emulator.speech import Silence
from layercode_app.exceptions import SignatureError

from ..serving import serve
from ..support import NODE, need_node_package, need_program
from .backend import SECRET, Backend
from .platform import READY, Platform

pytestmark = pytest.mark.anyio

STYLES: tuple[Style, ...] = ("session.start", "welcome")


class Webhook(BaseModel):
    """The fields that the FastAPI template requires in every event that it answers with speech."""

    type: Literal["session.start", "welcome", "message"]
    conversation_id: str
    turn_id: str
    text: str


def fastapi_template() -> FastAPI:
    app = FastAPI()
    conversations: dict[str, list[tuple[str, str]]] = {}

    @app.post("/api/agent")
    async def agent(request: Request, layercode_signature: str = Header()) -> StreamingResponse:
        raw = await request.body()
        try:
            verify(layercode_signature, raw, [SECRET])
        except SignatureError as error:
            raise HTTPException(401, str(error)) from error
        event = await webhook(request)
        history = conversations.setdefault(event.conversation_id, [])
        history.append(("user", event.text))
        said = [text for role, text in history if role == "user" and text]
        reply = f"You said {', '.join(said)}." if event.type == "message" else "Welcome."
        history.append(("assistant", reply))
        return StreamingResponse(frames(reply, event.turn_id), media_type="text/event-stream")

    async def webhook(request: Request) -> Webhook:
        try:
            return Webhook.model_validate(await request.json())
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    async def frames(reply: str, turn_id: str) -> AsyncIterator[str]:
        for frame in ({"type": "response.tts", "content": reply}, {"type": "response.end"}):
            yield f"data: {json.dumps(frame | {'turn_id': turn_id})}\n\n"

    return app


@asynccontextmanager
async def node_templates() -> AsyncIterator[str]:
    need_node_package("@layercode/node-server-sdk")
    environment = {**os.environ, "LAYERCODE_WEBHOOK_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        need_program("node"), str(NODE / "templates.mjs"), stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    try:
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), 100))
        yield f"http://127.0.0.1:{told['port']}"
    finally:
        process.kill()
        await process.wait()


async def hold_a_call(webhook: str, style: Style) -> list[str]:
    """Make a call to this webhook, and return what the caller hears in each turn."""
    app = create_emulator(webhook, SECRET, voice=Silence(pace=50), style=style)
    heard: list[str] = []
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        platform = Platform(url, app.state.emulator, Backend(), http)
        async with platform.client() as client:
            await client.send(READY)
            heard.append(spoken(await client.listen()))
            for word in ("one", "two", "three"):
                await client.say(word)
                heard.append(spoken(await client.listen()))
    return heard


def spoken(messages: list[dict[str, str]]) -> str:
    return "".join(message["content"] for message in messages if message["type"] == "response.text")


WHOLE_CALL = ["Welcome.", "You said one.", "You said one, two.", "You said one, two, three."]


async def test_both_nextjs_templates_hold_a_call() -> None:
    async with node_templates() as url:
        calls = [(way, style) for way in ("/text", "/parts") for style in STYLES]
        heard = await asyncio.gather(*(hold_a_call(url + way, style) for way, style in calls))
    assert dict(zip(calls, heard, strict=True)) == dict.fromkeys(calls, WHOLE_CALL)


@pytest.mark.parametrize("style", STYLES)
async def test_the_fastapi_template_holds_a_call(style: Style) -> None:
    async with serve(fastapi_template()) as url:
        assert await hold_a_call(f"{url}/api/agent", style) == WHOLE_CALL
