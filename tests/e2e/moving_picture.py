"""Film a call on the dev page for the README, as an animated WebP: `make screenshots`."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from layercode_app.agent.shipped import BUILT_IN
from layercode_app.emulator.speech import Silence

from ..dev.serving import dev_server
from .browser import chromium
from .dev_page import DevPage

SIZE = {"width": 1360, "height": 800}
MOST_BYTES = 2_000_000
EVERY_SECONDS = 0.2
READING_MS = 2500
"""How long the last picture stays."""
SHOWN = 0.7
"""The width of the film relative to the page."""


@dataclass
class Film:
    """Pictures of a page, with the time for which each is shown."""

    page: Page
    pictures: list[bytes] = field(default_factory=list)
    milliseconds: list[int] = field(default_factory=list)

    async def run(self) -> None:
        """Take a picture every EVERY_SECONDS, until cancelled.

        If a picture equals the one before it, the earlier picture is shown longer instead.
        """
        before = time.monotonic()
        while True:
            picture = await self.page.screenshot(animations="disabled", caret="hide")
            now = time.monotonic()
            passed, before = int((now - before) * 1000), now
            if self.pictures and picture == self.pictures[-1]:
                self.milliseconds[-1] += passed
            else:
                self.pictures.append(picture)
                self.milliseconds.append(max(passed, 20))
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - now)))

    def save(self, path: Path) -> None:
        """Write the film; it repeats for ever."""
        from PIL import Image

        size = (round(SIZE["width"] * SHOWN), round(SIZE["height"] * SHOWN))
        images = [
            Image.open(io.BytesIO(one)).convert("RGB").resize(size, Image.Resampling.LANCZOS) for one in self.pictures
        ]
        times = [*self.milliseconds[:-1], READING_MS]
        given: dict[str, Any] = {"append_images": images[1:], "duration": times, "loop": 0, "quality": 70, "method": 5}
        images[0].save(path, "WEBP", save_all=True, minimize_size=True, **given)


async def main(path: Path) -> None:
    agents = next(folder for folder in BUILT_IN if folder.is_dir())
    with tempfile.TemporaryDirectory() as place:
        given: dict[str, Any] = {"agents": agents, "agent": "bakery", "voice": Silence(pace=2.5), "log_dir": place}
        async with dev_server(Path(place), **given) as app, chromium() as browser:
            dev = DevPage(await browser.new_page(viewport=SIZE), app)  # type: ignore[arg-type]
            film = Film(dev.page)
            await dev.call("bakery")
            filming = asyncio.create_task(film.run())
            await _talk(dev)
            filming.cancel()
            with suppress(asyncio.CancelledError):
                await filming
    film.save(path)
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, expected at most {MOST_BYTES}: film less.")


async def _talk(dev: DevPage) -> None:
    """Place an order, interrupt the agent, and book a table."""
    await _type(dev, "Two croissants and two coffees, please")
    await dev.heard(1)
    await _type(dev, "What is on the menu?")
    await asyncio.sleep(1.6)
    await dev.page.keyboard.press("Escape")
    await _type(dev, "A table for two at four, please")
    await dev.heard(3)
    await asyncio.sleep(1.5)


async def _type(dev: DevPage, text: str) -> None:
    await dev.page.locator("#say").press_sequentially(text, delay=25)
    await dev.page.keyboard.press("Enter")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
