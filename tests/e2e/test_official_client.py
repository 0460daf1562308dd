"""A page with the platform's unmodified browser SDK talks to the emulator, in a real browser."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.emulator import Emulator
from layercode_app.emulator.speech import duration

from ..emulator.backend import LONG, SECRET, Backend
from ..serving import serve
from ..support import need_node_package
from .browser import ClientPage

pytestmark = pytest.mark.anyio


@dataclass
class Stage:
    client: ClientPage
    backend: Backend
    emulator: Emulator
    to_client: list[dict[str, Any]] = field(default_factory=list)
    from_client: list[dict[str, Any]] = field(default_factory=list)

    def watch(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.to_client.append(json.loads(frame)))
        socket.on("framesent", lambda frame: self.from_client.append(json.loads(frame)))

    def audio(self, turn_id: str) -> bytes:
        sent = (m for m in self.to_client if m["type"] == "response.audio" and m["turn_id"] == turn_id)
        return b"".join(base64.b64decode(message["content"]) for message in sent)

    async def played(self) -> float:
        """Wait until the client has played the next speech, and return how many seconds it played."""
        at = []
        for speaking in (True, False):
            await self.client.until("speaking", value=speaking)
            at.append(self.client.at)
        return (at[1] - at[0]) / 1000

    async def connect(self) -> str:
        """Connect with a click, as browsers require, and hear the greeting. Return the id of the conversation."""
        await self.client.page.click("#connect")
        conversation_id: str = await self.client.until("connect")
        await self.client.until("message", type="response.text", content="Welcome!")
        await self.client.until("speaking", value=True)
        await self.client.until("speaking", value=False)
        return conversation_id


def site(sdk: Path, emulator_url: str) -> Starlette:
    """Serve the page, the SDK as npm delivers it, and the backend's route that authorizes a session."""

    async def page(request: Request) -> Response:
        return FileResponse(Path(__file__).parent / "official_client.html")

    async def authorize(request: Request) -> Response:
        url = f"{emulator_url}/v1/agents/web/authorize_session"
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(url, json=await request.json(), headers={"authorization": "Bearer test-key"})
        return Response(answer.content, answer.status_code, media_type="application/json")

    routes = [Route("/", page), Route("/api/authorize", authorize, methods=["POST"])]
    return Starlette(routes=[*routes, Mount("/sdk", StaticFiles(directory=sdk / "dist"))])


@asynccontextmanager
async def stage(browser: Browser, *, microphone: bool = False, **options: Any) -> AsyncIterator[Stage]:
    sdk = need_node_package("@layercode/js-sdk")
    backend = Backend()
    async with serve(backend) as webhook:
        app = create_emulator(webhook, SECRET, api_key="test-key", **options)
        allowed = ["microphone"] if microphone else []
        async with (
            serve(app) as url,
            serve(site(sdk, url)) as pages,
            await browser.new_page(permissions=allowed) as page,
        ):
            made = Stage(ClientPage(page), backend, app.state.emulator)
            page.on("websocket", made.watch)
            websocket = url.replace("http", "ws", 1) + "/v1/agents/web/websocket"
            await page.goto(f"{pages}/?websocket={websocket}" + ("&microphone" if microphone else ""))
            yield made


@pytest.mark.slow
async def test_a_call_with_everything(browser: Browser) -> None:
    async with stage(browser) as s:
        conversation_id = await s.connect()
        greeting = s.backend.of("session.start")[0]
        assert (greeting["conversation_id"], greeting["metadata"]) == (conversation_id, {"user": "u1"})
        assert 0.2 < duration(s.audio(greeting["turn_id"])) < 3
        assert {"type": "trigger.response.audio.replay_finished", "reason": "completed"} in s.from_client

        # Text and transcripts.
        await s.client.client("sendClientResponseText('Good morning')")
        await s.client.until("message", type="user.transcript", content="Good morning")
        for piece in ("You said ", "Good morning."):
            await s.client.until("message", type="response.text", content=piece)
        await s.client.until("speaking", value=True)
        await s.client.until("speaking", value=False)

        if shutil.which("espeak-ng"):
            assert await s.client.page.evaluate("loudest") > 0.01

        # Data, both ways.
        await s.client.client("sendClientResponseText('shop')")
        await s.client.until("data", type="response.data", content={"basket": {"bun": 2}})
        await s.client.client("sendClientResponseData({ tip: 1.5, '2': 'b' })")
        await s.client.until("data", type="response.data", content={"got": {"tip": 1.5, "2": "b"}})
        assert not s.backend.refused

        # An interruption.
        await s.client.client("sendClientResponseText('long')")
        await s.client.until("speaking", value=True)
        await s.client.page.wait_for_timeout(1500)
        await s.client.client("sendClientResponseText('stop')")
        await s.client.until("speaking", value=False)
        await s.client.until("message", type="response.text", content="stop.")
        played = await s.played()
        long, stop = s.backend.of("message")[-2:]
        # Audio that comes too soon after an interruption is truncated by the client.
        assert played > 0.8 * duration(s.audio(stop["turn_id"]))
        assert s.backend.closed == [long["turn_id"]]
        context = stop["interruption_context"]
        assert context["assistant_turn_id"] == long["turn_id"]
        assert context["words_heard"] > 0
        assert (LONG * 200).startswith(context["text_heard"])

        # Away, and back in the same conversation.
        await s.client.client("disconnect()")
        await s.client.until("disconnect")
        end = await s.backend.until("session.end")
        assert [line["text"] for line in end["transcript"] if line["role"] == "user"] == [
            "Good morning", "shop", "long", "stop",
        ]  # fmt: skip
        assert await s.connect() == conversation_id
        one, two = s.backend.of("session.start")
        assert one["session_id"] != two["session_id"]
        await s.client.client("sendClientResponseText('again')")
        await s.client.until("message", type="response.text", content="again.")
        assert not [entry for entry in await s.client.page.evaluate("log") if entry["kind"] == "error"]


@pytest.mark.slow
async def test_a_microphone_and_push_to_talk(browser: Browser) -> None:
    async with stage(browser, microphone=True, trigger="push_to_talk") as s:
        await s.connect()
        await s.client.client("triggerUserTurnStarted()")
        await s.client.page.wait_for_timeout(500)
        await s.client.client("triggerUserTurnFinished()")
        await s.client.client("sendClientResponseText('hello')")
        await s.client.until("message", type="response.text", content="hello.")
        kinds = [message["type"] for message in s.from_client]
        assert kinds.index("client.ready") < kinds.index("trigger.turn.start") < kinds.index("trigger.turn.end")
        assert "client.audio" in kinds
        await s.client.client("disconnect()")
        assert (await s.backend.until("session.end"))["transcription_duration_seconds"] > 0.1


async def test_a_client_without_audio_output(browser: Browser) -> None:
    async with stage(browser) as s:
        await s.client.client("setAudioOutput(false)")
        await s.client.page.click("#connect")
        await s.client.until("message", type="response.text", content="Welcome!")
        await s.client.until("message", type="response.end")
        await s.client.client("sendClientResponseText('hello')")
        await s.client.until("message", type="response.text", content="hello.")


async def test_a_refused_session_is_an_error_for_the_client(browser: Browser) -> None:
    async with stage(browser) as s:
        s.emulator.faults.authorize_status = 402
        await s.client.page.click("#connect")
        assert "authorize" in await s.client.until("error")
