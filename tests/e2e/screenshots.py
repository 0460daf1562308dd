"""Take the screenshots of the dev page: `make screenshots`."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, expect

from layercode_app.agent.shipped import BUILT_IN
from layercode_app.dev.app import DevApp
from layercode_app.emulator.speech import Silence

from ..dev.serving import dev_server
from .browser import chromium
from .dev_page import DevPage

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    agents = next(path for path in BUILT_IN if path.is_dir())
    with tempfile.TemporaryDirectory() as place:
        where = Path(place)
        given = {"agents": agents, "agent": "bakery", "voice": Silence(pace=2), "log_dir": str(where)}
        async with dev_server(where, **given) as app, chromium() as browser:  # type: ignore[arg-type]
            await _take(app, browser, folder)


async def _take(app: DevApp, browser: Browser, folder: Path) -> None:
    dev = DevPage(await browser.new_page(viewport=WIDE, device_scale_factor=1.5), app)  # type: ignore[arg-type]
    page = dev.page
    await page.goto(app.url)
    await expect(page.locator(".agent-card").first).to_be_visible()
    await page.screenshot(path=folder / "start.png")
    await _talk(dev, folder)
    await dev.turn(1).click()
    await expect(page.locator(".tool-call")).to_have_count(2)
    await page.mouse.move(0, 0)
    await page.screenshot(path=folder / "light.png")
    await page.click("#theme-button")
    await page.mouse.move(0, 0)
    await asyncio.sleep(0.4)
    await page.screenshot(path=folder / "dark.png")
    await _fork(dev, folder)
    await _phone(dev, folder)


async def _talk(dev: DevPage, folder: Path) -> None:
    """A call with an order, an interruption and a booking."""
    await dev.call("bakery")
    await dev.say("Two croissants and two coffees, please")
    await dev.heard(1)
    await dev.say("Remind me what you have on the menu?")
    await _heard_in_part(dev, 2)
    await dev.page.screenshot(path=folder / "speaking.png")
    await dev.page.keyboard.press("Escape")
    await dev.say("Never mind. A table for two at four, please")
    await dev.heard(3)
    await dev.say("Lovely, then please order all that")
    await dev.heard(4)


async def _heard_in_part(dev: DevPage, index: int) -> None:
    await expect(dev.turn(index).locator(".heard")).to_have_text(re.compile(r"(\S+ ){4}"), timeout=100_000)


async def _fork(dev: DevPage, folder: Path) -> None:
    page = dev.page
    await page.click("#theme-button")
    await dev.turn(3).click()
    await dev.tab("fork")
    await page.fill("#fork-say", "What do you have today?")
    await page.locator("#fork-rest").check()
    await page.click("text=Fork from here")
    await expect(page.locator("#fork-result .side").first).to_be_visible()
    await asyncio.sleep(0.4)
    await page.screenshot(path=folder / "fork.png")


async def _phone(dev: DevPage, folder: Path) -> None:
    page = dev.page
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await dev.tab("time")
    await page.screenshot(path=folder / "phone-turn.png")
    await page.click(".tabs-bottom >> text=Talk")
    await asyncio.sleep(0.4)
    await page.screenshot(path=folder / "phone.png")
    await dev.say("What is on the menu?")
    await _heard_in_part(dev, 5)
    await page.screenshot(path=folder / "phone-speaking.png")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots")))
