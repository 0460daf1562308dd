"""The dev page in headless Chromium: its display during speech, its layout, and its messages about faults."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from ..dev.serving import AGENTS
from .dev_page import SECONDS, DevPage, dev_page

pytestmark = pytest.mark.anyio


async def box(of: Locator) -> dict[str, float]:
    """Where it stands, in pixels."""
    found: Any = await of.bounding_box()
    assert found is not None
    return {**found, "right": found["x"] + found["width"], "bottom": found["y"] + found["height"]}


async def speaks(dev: DevPage) -> None:
    """Let the agent tell a story, and wait until it speaks. The text is complete at once, but takes a minute to play."""
    await dev.say("tell me a story")
    await expect(dev.page.locator("#interrupt")).to_be_visible()


@pytest.mark.slow
async def test_a_turn_that_is_still_played_can_be_looked_into(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=1) as dev:
        page = dev.page
        await dev.call("shop")
        await speaks(dev)
        await expect(page.locator(".turn-head h2")).to_have_text("Turn 2")
        await expect(page.locator(".figures .lead dd")).to_have_text(re.compile(r"\d+ m?s"))
        await expect(page.locator(".turn-head .badge")).to_have_count(0, timeout=SECONDS)
        await expect(page.locator("#tab-messages .count")).to_have_text("2")
        await expect(page.locator("#interrupt")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator(".turn-head .badge")).to_have_text("interrupted")

        await dev.say("boom")
        await expect(page.locator(".failure")).to_contain_text("The caller heard the apology.")
        await expect(page.locator(".failure-message")).to_have_text("the oven is broken")
        await expect(page.locator("#interrupt")).to_be_visible()


@pytest.mark.slow
async def test_a_slow_click_counts_while_the_agent_speaks(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=1) as dev:
        page = dev.page
        await dev.call("shop")
        await speaks(dev)
        for pressed, shown in ((0, "Turn 1"), (1, "Turn 2")):
            await dev.turn(pressed).locator(".heard").hover()
            await page.mouse.down()
            await page.wait_for_timeout(500)
            await page.mouse.up()
            await expect(page.locator(".turn-head h2")).to_have_text(shown)
        await page.locator("#hang-up").hover()
        await page.mouse.down()
        await page.wait_for_timeout(500)
        await page.mouse.up()
        await expect(page.locator("#new-call")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.slow
async def test_the_field_keeps_its_width_while_the_agent_speaks(tmp_path: Path, browser: Browser, width: int) -> None:
    async with dev_page(tmp_path, browser, pace=1) as dev:
        page = dev.page
        await page.set_viewport_size({"width": width, "height": 800})
        await dev.call("shop")
        before = await box(page.locator("#say"))
        await speaks(dev)
        now = await box(page.locator("#say"))
        assert now["width"] == before["width"] >= 12 * 16
        for name in ("#interrupt", "#hang-up"):
            assert (await box(page.locator(name)))["height"] < 40, f"{name} is on two lines"
        who = page.locator("#top-call .who")
        assert await who.evaluate("element => element.scrollWidth <= element.clientWidth")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        # When the caller says something, the page scrolls to the new turn, even if the user has scrolled up.
        await page.set_viewport_size({"width": width, "height": 420})
        await page.locator("#transcript-scroll").evaluate("element => element.scrollTop = 0")
        await dev.say("never mind")
        await expect(dev.turn(2).locator(".meta")).to_be_in_viewport()


@pytest.mark.slow
async def test_the_figures_stand_in_line_and_the_axis_below_its_track(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.set_viewport_size({"width": 1280, "height": 800})
        await dev.call("shop")
        await dev.say("one cake please")
        await dev.heard(1)
        await expect(page.locator(".wf-row")).to_have_count(11)
        for part in ("dt", "dd"):
            # Measure all elements in one call, because the panel may be redrawn between two calls.
            tops = await page.locator(f".figures {part}").evaluate_all(
                "all => all.map((one) => one.getBoundingClientRect().top)"
            )
            assert (len(tops), len(set(tops))) == (5, 1)
        track, last = page.locator(".wf-track").first, page.locator(".wf-axis .scale span").last
        assert (await box(last))["right"] <= (await box(track))["right"] + 1
        assert (await page.locator('[data-span="speech"] .took').inner_text()).startswith("at ")
        total = await page.locator(".figures div").nth(2).locator("dd").inner_text()
        assert await page.locator(".wf-axis .sum").inner_text() == total


@pytest.mark.slow
async def test_a_file_that_fails_is_said_once_and_covers_nothing(tmp_path: Path, browser: Browser) -> None:
    folder = tmp_path / "agents"
    shutil.copytree(AGENTS, folder)
    async with dev_page(tmp_path, browser, pace=30, agents=folder) as dev:
        page = dev.page
        await dev.call("shop")
        panes = await box(page.locator(".panes"))
        (folder / "shop.py").write_text("def broken(:")
        (folder / "new.py").write_text("def broken(:")
        for _ in range(2):
            dev.app.reload(dev.app.layercode.settings)
        told = (
            "new.py failed to import and is not available. shop.py failed to import; its last working version is used."
        )
        await expect(page.locator(".toast")).to_have_text(told)
        assert (await box(page.locator(".panes")))["bottom"] <= (await box(page.locator(".toast")))["y"] + 1
        assert await box(page.locator(".panes")) == panes, "a message moved the page"
        await expect(page.locator(".status-note")).to_contain_text("2 agent files failed to import.")
        await page.click("#problems-button")
        await expect(page.locator("#problems details")).to_have_count(2)
        await expect(page.locator("#problems pre").first).to_contain_text("SyntaxError")
        await page.click("#problems >> text=Close")
        await dev.say("still there?")
        await expect(dev.turn(1).locator(".heard")).to_have_text("You said: still there?.")
        shutil.copy(AGENTS / "shop.py", folder)
        (folder / "new.py").unlink()
        dev.app.reload(dev.app.layercode.settings)
        await expect(page.locator(".toast")).to_have_text("Agents reloaded.")
        await expect(page.locator("#problems-button")).to_have_count(0)


async def test_an_address_that_leads_to_no_call_says_so(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.goto(f"{dev.app.url}/#nobody")
        await expect(page.locator(".missing")).to_contain_text("Conversation 'nobody' is not in the journal.")
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.click("text=Show all calls")
        await expect(page.locator("#calls")).to_be_visible()
        await page.click(".tabs-bottom >> text=Talk")
        await page.click("text=Start a new call")
        await page.click('[data-agent="shop"]')
        await dev.heard(0)


@pytest.mark.slow
async def test_the_prompt_to_fork_with_is_what_somebody_wrote(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await dev.call("shop")
        await dev.say("hello")
        await dev.heard(1)
        await dev.tab("fork")
        await expect(page.locator("#fork-prompt")).to_have_value("You sell cakes.")
        await page.fill("#fork-prompt", "")
        await expect(page.locator("#fork-prompt-note")).to_contain_text("the agent's own prompt is used")
