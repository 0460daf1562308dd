"""The dev page in a real browser, as a developer uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect

from layercode_app.dev.app import DevApp
from layercode_app.emulator.speech import Silence

from ..dev.serving import dev_server

SECONDS = 100_000
"""How long Playwright waits, in milliseconds."""


class DevPage:
    """The page, and what a person does there. `errors` are the errors that the browser reported."""

    def __init__(self, page: Page, app: DevApp) -> None:
        self.page, self.app = page, app
        self.errors: list[str] = []
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location}")

    async def call(self, agent: str) -> None:
        await self.page.goto(self.app.url)
        await self.page.click(f'[data-agent="{agent}"]')
        await self.heard(0)

    async def say(self, text: str) -> None:
        await self.page.fill("#say", text)
        await self.page.keyboard.press("Enter")

    def turn(self, index: int) -> Locator:
        return self.page.locator(".exchange").nth(index)

    async def heard(self, index: int) -> None:
        """Wait until the agent has said all of a turn and it has been played."""
        await expect(self.turn(index).locator(".heard")).not_to_be_empty(timeout=SECONDS)
        await expect(self.turn(index).locator(".waiting")).to_have_count(0, timeout=SECONDS)
        await expect(self.page.locator("#interrupt")).to_be_hidden(timeout=SECONDS)

    async def tab(self, name: str) -> None:
        await self.page.click(f"#tab-{name}")


@asynccontextmanager
async def dev_page(tmp_path: Path, browser: Browser, *, pace: float = 3, **given: Any) -> AsyncIterator[DevPage]:
    """Start a development server whose agent speaks `pace` times as fast as people do, and a page in Chromium."""
    given.setdefault("voice", Silence(pace=pace))
    async with (
        dev_server(tmp_path, **given) as app,
        await browser.new_page(viewport={"width": 1400, "height": 900}) as page,
    ):
        yield DevPage(page, app)
