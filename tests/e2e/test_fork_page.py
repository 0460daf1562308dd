"""Forks in headless Chromium: the result is above the form, the figures come first, and two models are side by side.

Errors do not mention options of the command line.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect

from .dev_page import SECONDS, DevPage, dev_page

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set an API key for Groq, and remove the keys of OpenAI and Anthropic."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GROQ_API_KEY", "test-key")


async def in_fork_tab(dev: DevPage) -> Locator:
    await dev.call("shop")
    await dev.say("one cake please")
    await dev.heard(1)
    await dev.tab("fork")
    return dev.page.locator("#fork-result")


async def fork(dev: DevPage) -> None:
    """Press the button, and wait for the result or the error."""
    await dev.page.click("text=Fork from here")
    await expect(dev.page.locator(".fork-form button.primary")).to_be_enabled(timeout=SECONDS)


@pytest.mark.slow
async def test_the_result_stands_above_the_form_with_its_figures_first(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.set_viewport_size({"width": 1280, "height": 520})
        result = await in_fork_tab(dev)
        await fork(dev)
        await expect(result.locator("h3")).to_have_text("Turn 2, forked")
        await expect(result.locator("h3")).to_be_in_viewport()
        order = "all => all.map((one) => one.className || one.id || one.tagName)"
        assert await page.locator(".fork-form > *").evaluate_all(order) == [
            "fork-place", "muted small", "field", "fork-models", "field", "checks", "DIV",
        ]  # fmt: skip
        assert await page.locator(".fork-pair > *").evaluate_all(order) == ["section-head", "fork-figures", "sides"]
        heads = await page.locator(".fork-figures thead th").all_text_contents()
        rows = await page.locator(".fork-figures tbody th").all_text_contents()
        assert (heads, rows) == (["As it was", "Forked"], ["first speech", "whole turn", "tokens", "cost", "model"])
        tokens = page.locator(".fork-figures tbody tr").nth(2).locator("td").last
        # The tool answered from its recording, so its helper used no tokens.
        await expect(tokens.locator(".delta.better")).to_have_text(re.compile(r"^\u2212\d+\(\u2212\d+\s%\)$"))

        # The result of the fork stays when the user opens another tab or another turn and comes back.
        await dev.tab("time")
        await dev.tab("fork")
        await dev.turn(0).click()
        await expect(result).to_have_count(0)
        await dev.turn(1).click()
        await expect(result.locator(".side")).to_have_count(2)
        assert dev.errors == []


@pytest.mark.slow
async def test_a_form_that_was_used_stays_when_its_turn_ends(tmp_path: Path, browser: Browser) -> None:
    """The last words of a turn are heard before its end is known, and the form may be used between the two."""
    async with dev_page(tmp_path, browser) as dev:
        await dev.page.goto(dev.app.url)
        kept = await dev.page.evaluate("""async () => {
            const { forkPanel } = await import("/dev/static/js/fork.js");
            const panel = (turn_id, status) =>
                forkPanel({ conversation_id: "c", turn_id, status, kind: "message", user_text: "one" }, { name: "shop" });
            const used = panel("used", "running"), unused = panel("unused", "running");
            used.querySelector("textarea").dispatchEvent(new Event("input", { bubbles: true }));
            return [panel("used", "complete") === used, panel("unused", "complete") === unused];
        }""")
        assert kept == [True, False]


@pytest.mark.slow
async def test_two_models_stand_side_by_side(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        result = await in_fork_tab(dev)
        await page.select_option("#fork-model-2", "offline")
        await fork(dev)
        await expect(result.locator(".sides.three .side")).to_have_count(3)
        assert await result.locator(".fork-figures thead th").all_text_contents() == ["As it was", "offline", "offline"]
        left, right = [await result.locator(".side").nth(place).bounding_box() for place in (1, 2)]
        assert left is not None
        assert right is not None
        assert (left["y"], left["x"] + left["width"] <= right["x"]) == (right["y"], True)
        assert dev.errors == []


@pytest.mark.slow
async def test_the_list_of_models_has_those_whose_key_is_set(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30, fallback_models=("groq:fallback",)) as dev:
        page = dev.page
        await in_fork_tab(dev)
        groups = page.locator("#fork-model optgroup")
        await expect(groups.first).to_have_attribute("label", "In your settings")
        labels = await groups.evaluate_all("all => all.map((one) => one.label)")
        assert labels == ["In your settings", "groq", "Needs a key in .env"]
        assert await groups.nth(1).locator("option").first.get_attribute("value") is not None
        missing = groups.nth(2).locator("option")
        assert "openai: OPENAI_API_KEY" in await missing.all_text_contents()
        assert set(await missing.evaluate_all("all => all.map((one) => one.disabled)")) == {True}


@pytest.mark.slow
async def test_an_error_stands_above_the_form_without_words_of_the_command_line(
    tmp_path: Path, browser: Browser
) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.set_viewport_size({"width": 1280, "height": 420})
        await in_fork_tab(dev)
        error = page.locator("#fork-error")
        for name, told in (
            ("openai:gpt-5-mini", "The model openai:gpt-5-mini: OPENAI_API_KEY is not set. Put it into .env"),
            ("banana", "The model banana: "),
        ):
            await page.select_option("#fork-model", "another")
            await page.fill("#fork-model-other", name)
            await fork(dev)
            await expect(error).to_contain_text(told)
            await expect(error).to_be_in_viewport()
            assert "--" not in (await error.inner_text())

        # If one of two models fails, the answer of the other model is still shown.
        await page.select_option("#fork-model-2", "offline")
        await fork(dev)
        await expect(page.locator("#fork-result .side .error-box")).to_contain_text("The model banana: ")
        await expect(page.locator("#fork-result .side").last).to_contain_text("Certainly, 1 cakes sold so far.")


async def test_a_fork_that_fails_shows_the_own_line(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        result = await in_fork_tab(dev)
        await page.fill("#fork-say", "boom")
        await fork(dev)
        await expect(result.locator(".failure-message")).to_have_text("the oven is broken")
        await expect(result.locator(".source .where")).to_contain_text(re.compile(r"shop\.py:\d+"))
        assert dev.errors == []
