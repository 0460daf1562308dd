"""The dev page's review queue in Chromium: verdicts with one key, undo, notes, scenarios, and two tabs."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from layercode_app.journal.record import Status
from layercode_app.journal.stores.base import Store

from .dev_page import SECONDS, DevPage, dev_page
from .test_calls_list import record
from .test_dev_page_helps import HIDDEN

pytestmark = pytest.mark.anyio
NO = {"told": {"value": False, "judge": "m", "question": "Was the total told?"}}


async def three_calls(store: Store) -> None:
    """Record a silent call, a failed call, and a call that a judge rejected, which is the gravest of the three."""
    now = time.time() - 60
    await record(store, "silent", "are you there", "", at=now)
    await record(store, "failed", "boom", "Sorry.", at=now, status=Status.FAILED, error_category="agent")
    await record(store, "judged", "Two cakes, my mail is ann@example.com", at=now, scores=NO)


def rows(page: Page) -> Locator:
    return page.locator(".review-calls .call .title")


async def reads(page: Page, *titles: str) -> None:
    await expect(rows(page)).to_have_text(list(titles), timeout=SECONDS)


async def on_screen(page: Page, words: str) -> None:
    """Wait until the call with these words is shown, and can get a verdict."""
    await expect(page.locator(".said").first).to_have_text(words, timeout=SECONDS)
    await expect(page.locator("#review-bar .review-why")).not_to_contain_text("Loading")


async def begin(dev: DevPage) -> Page:
    await three_calls(dev.app.layercode.store)
    await dev.page.goto(dev.app.url)
    await dev.page.click("#review-calls")
    await reads(dev.page, MAIL, "boom", "are you there")
    return dev.page


MAIL = "Two cakes, my mail is ann@example.com"


@pytest.mark.slow
async def test_verdicts_with_one_key_undo_and_a_second_tab(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev, await browser.new_page() as other:
        other.set_default_timeout(SECONDS)
        page = await begin(dev)
        assert await rows(page).first.locator("xpath=..").locator(".reason").first.text_content() == "judged no: told"
        await rows(page).first.click()
        await on_screen(page, MAIL)
        await other.goto(f"{dev.app.url}/#failed")
        await other.click("#review-calls")
        await reads(other, MAIL, "boom", "are you there")

        # In the note field, keys type letters. Enter leaves the field, and after that a key gives a verdict.
        await page.keyboard.press("n")
        await page.keyboard.type("bad")
        await expect(page.locator("#review-note")).to_have_value("bad")
        await page.keyboard.press("Enter")
        for key in ("b", "b"):  # the second time, the key is held down
            await page.keyboard.down(key)
        await page.keyboard.up("b")
        await reads(page, "boom", "are you there")
        await on_screen(page, "boom")
        await expect(page.locator("#review-note")).to_have_value("")
        await expect(page.locator(".review-done [role=status]")).to_contain_text(f"Bad: {MAIL}")
        await reads(other, "boom", "are you there")

        # The page ignores a key with Control. The key for undo brings the call back, and shows it.
        await page.keyboard.press("Control+g")
        await page.keyboard.press("u")
        await reads(page, MAIL, "boom", "are you there")
        await on_screen(page, MAIL)
        await expect(page.locator("#review-bad")).to_have_attribute("aria-pressed", "false")
        await expect(page.locator("#review-undo")).to_be_hidden()

        # The buttons do the same as the keys, and a double click counts once. After a reload the review is still open.
        await page.dblclick("#review-good")
        await on_screen(page, "boom")
        await page.reload()
        await reads(page, "boom", "are you there")
        await on_screen(page, "boom")
        await page.check("#review-reviewed")
        await reads(page, MAIL, "boom", "are you there")
        await expect(page.locator(".review-calls .badge")).to_have_text(["good"])
        await page.keyboard.press("k")
        await on_screen(page, "are you there")
        await page.keyboard.press("k")
        await on_screen(page, "boom")
        await page.uncheck("#review-reviewed")
        await reads(page, "boom", "are you there")
        for words in ("boom", "are you there"):
            await on_screen(page, words)
            await page.keyboard.press("g")
        await expect(page.locator("#review-empty")).to_have_text("No calls to review in the last 7 days.")
        await expect(other.locator("#review-empty")).to_be_visible(timeout=SECONDS)
        await expect(page.locator(".review-done [role=status]")).to_contain_text("No more calls to review.")
        await page.click("#all-calls")
        await expect(page.locator("#review-bar")).to_be_hidden()
        assert dev.errors == []


async def test_a_call_becomes_a_scenario_and_an_unreadable_journal_is_told(tmp_path: Path, browser: Browser) -> None:
    journal = tmp_path / "journal.db"
    async with dev_page(tmp_path, browser, pace=30, store=f"sqlite:///{journal}") as dev:
        page = await begin(dev)
        await page.keyboard.press("k")
        await on_screen(page, MAIL)
        await page.keyboard.press("s")
        await expect(page.locator("#review-goal")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#review-wrong")).to_contain_text("such as: order two croissants")
        await page.click("#review-guess")
        await expect(page.locator("#review-wrong")).to_contain_text("Name a model")
        await page.fill("#review-goal", "buy two cakes for ann@example.com")
        await page.keyboard.press("Enter")
        path = "evals/shop_buy_two_cakes_for_caller1.yaml"
        await expect(page.locator("#review-path")).to_have_text(path)
        assert "Was the total told?" in (tmp_path / path).read_text()
        assert "ann@" not in (tmp_path / path).read_text()
        await page.keyboard.press("Escape")
        await expect(page.locator("#review-make")).to_be_focused()
        assert dev.errors == []

        with sqlite3.connect(journal) as db:
            db.execute("UPDATE turns SET head = x'7b' WHERE conversation_id = 'failed'")
        await page.select_option("#review-since", "30d")
        await expect(page.locator("#review-error")).to_contain_text("cannot be read")
        async with page.expect_response("**/reviews*"):
            await page.click("#review-error button")
        await expect(page.locator("#review-error")).to_contain_text("cannot be read")
        with sqlite3.connect(journal) as db:
            db.execute("DELETE FROM turns WHERE conversation_id = 'failed'")
        # Click the button if it is still there. The page also reloads the list when a call has changed, and then the
        # button disappears.
        await page.evaluate("document.querySelector('#review-error button')?.click()")
        await reads(page, MAIL, "are you there")


@pytest.mark.slow
async def test_the_review_fits_the_narrowest_phone(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        await dev.page.set_viewport_size({"width": 320, "height": 640})
        await three_calls(dev.app.layercode.store)
        page = dev.page
        await page.goto(dev.app.url)
        await page.click(".tabs-bottom >> text=Calls")
        await page.click("#review-calls")
        await reads(page, MAIL, "boom", "are you there")
        assert await page.evaluate(HIDDEN) == []
        await rows(page).first.click()
        await on_screen(page, MAIL)
        assert await page.evaluate(HIDDEN) == []
        for name in ("good", "bad", "next", "make"):
            await expect(page.locator(f"#review-{name}")).to_be_in_viewport(ratio=1)
        await page.click("#review-make")
        await expect(page.locator("#review-goal")).to_be_visible()
        assert await page.evaluate(HIDDEN) == []
        await expect(page.locator("#review-bad")).to_be_in_viewport(ratio=1)
        assert dev.errors == []
