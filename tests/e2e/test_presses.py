"""A click on the dev page works even if the page is redrawn between pressing and releasing the button."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect

from .dev_page import DevPage, dev_page
from .test_calls_list import NOON, record

pytestmark = pytest.mark.anyio
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


async def place(element: Locator) -> tuple[float, float]:
    async with asyncio.timeout(100):
        # The list may be drawn again at this moment, and then the element has no box.
        while not (box := await element.bounding_box()):
            await asyncio.sleep(0.01)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def hold(dev: DevPage, element: Locator) -> None:
    """Press the mouse button on an element. Return when the page has drawn more calls, which move the element.

    The button stays pressed.
    """
    await dev.page.mouse.move(*await place(element))
    await dev.page.mouse.down()
    store = dev.app.layercode.store
    await record(store, "old", "a wedding cake", at=NOON + 60)
    await record(store, "new", "the bill please", at=NOON + 90)
    async with (
        dev.page.expect_response(lambda response: response.url.endswith("/dev/api/conversations")),
        dev.page.expect_response(lambda response: response.url.endswith("/dev/api/conversations/old")),
    ):
        dev.app.emulator.feed.publish({"kind": "journal"})
    await dev.page.evaluate(DRAWN)


@pytest.mark.slow
async def test_a_press_counts_while_the_page_changes_around_it(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser) as dev:
        page, store = dev.page, dev.app.layercode.store
        await record(store, "other", "a coffee")
        await record(store, "old", "a croissant")
        await page.goto(f"{dev.app.url}#old")
        export = page.locator("text=Export this call")
        await expect(export).to_be_visible()
        await expect(page.locator(".call")).to_have_count(2)
        before = await place(export)
        await hold(dev, export)
        async with page.expect_download():
            await page.mouse.up()
        await expect(page.locator(".call")).to_have_count(3)
        assert await place(export) != before


async def test_a_press_on_a_call_of_the_list_counts(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser) as dev:
        page, store = dev.page, dev.app.layercode.store
        await record(store, "other", "a coffee")
        await record(store, "old", "a croissant")
        await page.goto(f"{dev.app.url}#old")
        row = page.locator('.call[data-conversation="other"]')
        await expect(row).to_be_visible()
        await hold(dev, row)
        await page.mouse.up()
        await expect(row).to_have_attribute("aria-current", "true")
        await expect(page.locator(".exchange .said")).to_have_text("a coffee")
