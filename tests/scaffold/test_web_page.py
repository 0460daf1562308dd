"""A new project's page and widget in a real browser, with the emulated platform and the project's agent."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, WebSocket, expect
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from layercode_app import LayerCode, find_agent
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.protocol import Trigger

from ..calling import SECRET, settings
from ..serving import serve
from ..support import need_node_package
from .test_projects import project

pytestmark = pytest.mark.anyio


@dataclass
class Stage:
    page: Page
    app: LayerCode
    sent: list[dict[str, Any]] = field(default_factory=list)

    def watch(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)))

    async def connect(self) -> None:
        await self.page.click("#connect")
        await expect(self.page.locator(".agent").first).to_contain_text("Welcome to Sunrise Bakery")

    async def sends(self, kind: str) -> None:
        """Wait until the page has sent a message of this type."""
        async with asyncio.timeout(100):
            while kind not in [message["type"] for message in self.sent]:
                await asyncio.sleep(0.02)

    async def type(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")


@asynccontextmanager
async def stage(
    tmp_path: Path, browser: Browser, query: str = "", *, trigger: Trigger = "automatic"
) -> AsyncIterator[Stage]:
    """Create a project from the bakery agent, and open its web page in the browser.

    The project's backend runs too, and the emulated platform connects the page with the backend.
    """
    web = project(tmp_path / "my-shop", "bakery", ("web",)) / "web"
    (web / "vendor").mkdir()
    shutil.copy(need_node_package("@layercode/js-sdk") / "dist/layercode-js-sdk.esm.js", web / "vendor")
    apps: list[LayerCode] = []

    async def backend(scope: Any, receive: Any, send: Any) -> None:
        await apps[0](scope, receive, send)

    pages = Starlette(routes=[Mount("/", StaticFiles(directory=web, html=True))])
    async with serve(backend, lifespan="off") as url, serve(pages) as site:
        async with serve(create_emulator(f"{url}/api/agent", SECRET, trigger=trigger)) as platform:
            given = {"api_url": f"{platform}/v1", "api_key": "test-key", "authorize_origins": (site,)}
            agent = find_agent("my_shop", tmp_path / "my-shop/agents")
            app = LayerCode(agent, settings=settings(tmp_path, agent_id="my_shop", **given), model="offline")
            apps.append(app)
            socket = platform.replace("http", "ws", 1) + "/v1/agents/web/websocket"
            allowed = [] if "text-only" in query else ["microphone"]
            async with await browser.new_page(permissions=allowed) as page:
                made = Stage(page, app)
                page.on("websocket", made.watch)
                await page.goto(f"{site}/?authorize={url}/api/authorize&websocket={socket}{query}")
                yield made
        await app.stop()


async def test_text_transcript_data_and_thumbs(tmp_path: Path, browser: Browser) -> None:
    async with stage(tmp_path, browser, "&text-only=") as s:
        await s.connect()
        await s.type("Two croissants, please")
        await expect(s.page.locator(".user")).to_have_text("Two croissants, please")
        await expect(s.page.locator(".agent").nth(1)).to_contain_text("4 euros 80")
        await expect(s.page.locator("#data")).to_contain_text('"croissant": 2')

        await s.page.locator(".agent").nth(1).get_by_role("button", name="Good answer").click()
        await expect(s.page.locator("#data")).not_to_contain_text("croissant")
        assert s.sent[-1]["data"]["feedback"]["score"] == 1
        turn_id = s.sent[-1]["data"]["feedback"]["turn_id"]
        conversation = await s.page.evaluate("document.querySelector('layercode-voice').conversationId")
        record = await s.app.store.get(conversation, turn_id)
        assert record is not None
        assert record.user_text == "Two croissants, please"
        assert record.scores["feedback"]["value"] == 1

        await s.page.click("#connect")
        await expect(s.page.locator("#connect")).to_have_text("Call")
        await expect(s.page.locator("#text")).to_be_disabled()


async def test_push_to_talk_holds_the_microphone_to_a_button(tmp_path: Path, browser: Browser) -> None:
    async with stage(tmp_path, browser, "&push-to-talk=", trigger="push_to_talk") as s:
        await s.connect()
        await expect(s.page.locator("#talk")).to_be_visible()
        await s.page.locator("#talk").hover()
        await s.page.mouse.down()
        await s.sends("client.audio")
        await s.page.mouse.up()
        await s.sends("trigger.turn.end")
        await expect(s.page.locator("#talk")).to_be_visible()
        kinds = [message["type"] for message in s.sent]
        assert kinds.count("trigger.turn.start") == kinds.count("trigger.turn.end") == 1
        assert kinds.index("trigger.turn.start") < kinds.index("client.audio") < kinds.index("trigger.turn.end")


@pytest.mark.parametrize("key", ["Space", "Enter"])
async def test_push_to_talk_holds_the_microphone_to_a_key(tmp_path: Path, browser: Browser, key: str) -> None:
    async with stage(tmp_path, browser, "&push-to-talk=", trigger="push_to_talk") as s:
        await s.connect()
        talk = s.page.locator("#talk")
        await talk.focus()
        for _ in range(3):  # a key that is held down repeats
            await s.page.keyboard.down(key)
        await expect(talk).to_have_attribute("aria-pressed", "true")
        await s.sends("client.audio")
        await s.page.keyboard.up(key)
        await s.sends("trigger.turn.end")
        await talk.blur()
        kinds = [message["type"] for message in s.sent]
        assert kinds.count("trigger.turn.start") == kinds.count("trigger.turn.end") == 1


async def test_the_widget_is_dark_where_the_system_is_and_needs_no_emoji(tmp_path: Path, browser: Browser) -> None:
    async with stage(tmp_path, browser, "&text-only=") as s:
        await s.connect()
        shown = "getComputedStyle(document.querySelector('layercode-voice').shadowRoot.querySelector('section')).backgroundColor"
        colours = []
        for scheme in ("light", "dark"):
            await s.page.emulate_media(color_scheme=scheme)
            colours.append(
                (await s.page.evaluate(shown), await s.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            )
        assert colours == [("rgb(255, 255, 255)", "rgb(244, 244, 241)"), ("rgb(31, 31, 29)", "rgb(19, 19, 18)")]
        thumbs = s.page.locator(".agent").first.get_by_role("button")
        assert await thumbs.all_text_contents() == ["", ""]
        assert await thumbs.locator("svg").count() == 2


async def test_the_opening_has_a_title_and_says_what_to_do(tmp_path: Path, browser: Browser) -> None:
    async with stage(tmp_path, browser, "&text-only=") as s:
        await expect(s.page.locator("h2")).to_have_text("my-shop")
        await expect(s.page.locator("#status")).to_have_text("Ready")
        await expect(s.page.locator("#opening")).to_have_text("Press Call, then type.")
        await expect(s.page.locator("#problem")).to_be_hidden()
        await expect(s.page.locator("#details")).to_be_hidden()
        await s.connect()
        await expect(s.page.locator("#status")).to_have_text("Connected")
        await expect(s.page.locator("#opening")).to_be_hidden()
        await s.page.click("#connect")
        await expect(s.page.locator("#status")).to_have_text("The call has ended")


@pytest.mark.parametrize(
    ("authorize", "told"),
    [("/nowhere", "could not be started. Try again"), ("http://127.0.0.1:9/", "The server cannot be reached.")],
)
async def test_what_goes_wrong_is_said_in_plain_words(
    tmp_path: Path, browser: Browser, authorize: str, told: str
) -> None:
    async with stage(tmp_path, browser, "&text-only=") as s:
        set_to = "(where) => document.querySelector('layercode-voice').setAttribute('authorize', where)"
        await s.page.evaluate(set_to, authorize)
        await s.page.click("#connect")
        await expect(s.page.locator("#problem")).to_contain_text(told)
        await expect(s.page.locator("#connect")).to_have_text("Call")
        await expect(s.page.locator("#opening")).to_be_visible()


async def test_a_blocked_microphone_is_said_in_plain_words(tmp_path: Path, browser: Browser) -> None:
    async with stage(tmp_path, browser) as s:
        denied = "async () => { throw new DOMException('Permission denied', 'NotAllowedError') }"
        await s.page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {denied} }}")
        await s.page.click("#connect")
        await expect(s.page.locator("#problem")).to_contain_text("The microphone is blocked.")
