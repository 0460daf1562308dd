"""A simulated caller on the dev page: chosen in the dialog, watched live, stopped, and graded at its end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from .dev_page import SECONDS, DevPage, dev_page

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SCENARIOS = """
agent: shop
scenarios:
  - name: buys a cake
    caller:
      persona: in a hurry
      behaviour: {hesitates: 1}
      script: [{when: welcome, say: One cake please}, {when: certainly, say: That is all}]
    end: {tools: [{name: sell, times: 1}], state: {cakes: 2}}
  - name: wants stories
    caller: {script: [{say: Tell me a story}, {say: Another story}, {say: One more story}]}
  - name: a model
    caller: {goal: buy a cake}
"""


def write(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "shop.yaml").write_text(SCENARIOS)
    (tmp_path / "evals" / "broken.yaml").write_text("agent: [")


async def choose(dev: DevPage, scenario: str) -> None:
    """Open the dialog on the start page, and choose a caller."""
    await dev.page.goto(dev.app.url)
    await dev.page.click('[data-simulate="shop"]')
    await dev.page.select_option("#simulate-caller", label=scenario)


async def test_a_call_is_watched_live_and_graded_at_its_end(tmp_path: Path, browser: Browser) -> None:
    write(tmp_path)
    async with dev_page(tmp_path, browser, pace=10) as dev:
        page = dev.page
        await choose(dev, "buys a cake")
        about = page.locator("#simulate")
        await expect(about).to_contain_text("evals/shop.yaml")
        await expect(about).to_contain_text("in a hurry")
        await expect(about).to_contain_text("broken.yaml is not YAML")
        await page.fill("#simulate-seed", "5")
        await page.click("#simulate-start")

        # Both sides appear as in a call that the developer makes, but here the developer cannot type.
        await expect(dev.turn(1).locator(".said")).to_contain_text("cake please", timeout=SECONDS)
        await expect(page.locator("#composer")).to_be_hidden()
        await expect(dev.turn(1).locator(".chip.tool")).to_have_text("sell", timeout=SECONDS)
        await expect(dev.turn(2).locator(".said")).to_contain_text("is all", timeout=SECONDS)

        card = page.locator("#simulated")
        await expect(card).to_have_attribute("data-state", "over", timeout=SECONDS)
        await expect(card).to_contain_text("evals/shop.yaml, seed 5")
        await expect(card.locator(".ending")).to_have_text("The caller said every line of the script and hung up.")
        checks = card.locator(".checks li")
        passed = [await one.get_attribute("data-passed") for one in await checks.all()]
        assert passed == ["false", "true"]
        await expect(checks.first).to_contain_text("the state ends with cakes = 1, expected 2")
        await expect(page.locator(".call .badges")).to_contain_text("simulated: buys a cake", timeout=SECONDS)
        await expect(page.locator("#call-head")).to_contain_text("simulated: buys a cake")
        # What the reader has opened stays open when the page is redrawn.
        await card.locator("summary").click()
        await dev.turn(1).click()
        await expect(page.locator(".wf-row").first).to_be_visible()
        await expect(card.locator("details")).to_have_attribute("open", "")

        # A reload shows the result again; the dialog has the same caller and seed.
        await page.reload()
        await expect(card).to_have_attribute("data-state", "over", timeout=SECONDS)
        await page.click("#simulated-again")
        await expect(page.locator("#simulate-seed")).to_have_value("5")
        assert dev.errors == []


async def test_a_call_goes_on_after_a_reload_and_is_stopped(tmp_path: Path, browser: Browser) -> None:
    write(tmp_path)
    async with dev_page(tmp_path, browser, pace=2) as dev:
        page = dev.page
        await choose(dev, "wants stories")
        await page.click("#simulate-start")
        story = dev.turn(1)
        await expect(story.locator(".heard")).to_have_text(re.compile(r"(\S+ ){3}"), timeout=SECONDS)
        await expect(page.locator("#live-call .state")).to_have_text("speaking")
        await page.reload()
        await expect(page.locator("#live-call")).to_be_visible(timeout=SECONDS)
        await expect(page.locator("#simulated-stop")).to_be_visible()
        await page.click("#hang-up")
        card = page.locator("#simulated")
        await expect(card).to_have_attribute("data-state", "over", timeout=SECONDS)
        await expect(card.locator(".ending")).to_have_text("You stopped the call.")
        await expect(page.locator("#hang-up")).to_have_count(0)
        await expect(page.locator("text=Continue this call")).to_be_visible()
        assert len(app_turns := [turn async for turn in dev.app.layercode.store.turns() if turn.kind == "message"]) == 1
        assert app_turns[0].user_text == "Tell me a story"
        assert dev.errors == []


async def test_a_call_goes_on_while_the_page_is_in_another_call(tmp_path: Path, browser: Browser) -> None:
    write(tmp_path)
    async with dev_page(tmp_path, browser, pace=1) as dev, await browser.new_page() as other:
        page = dev.page
        await choose(dev, "wants stories")
        await page.click("#simulate-start")
        await expect(page.locator("#live-call .state")).to_have_text("speaking")
        first = page.url

        # Another simulated call, and a call of the developer in another tab that listened to the first call.
        await other.goto(first)
        await expect(other.locator("#live-call")).to_be_visible(timeout=SECONDS)
        await choose(dev, "wants stories")
        await page.click("#simulate-start")
        await expect(page.locator("#live-call .state")).to_have_text("speaking")
        assert page.url != first
        await other.click(".brand")
        await other.click('[data-agent="shop"]')
        await expect(other.locator("#composer")).to_be_visible(timeout=SECONDS)
        assert [(call["running"], call["ending"]) for call in dev.app.simulated.calls()] == [(True, None)] * 2

        # The page listens to the first call again, and can stop it.
        await other.click("#hang-up")
        await other.goto(first)
        await expect(other.locator("#live-call")).to_be_visible(timeout=SECONDS)
        await other.click("#simulated-stop")
        await expect(other.locator("#simulated .ending")).to_have_text("You stopped the call.", timeout=SECONDS)
        assert [call["running"] for call in dev.app.simulated.calls()] == [False, True]
        assert dev.errors == []


async def test_what_is_wrong_is_said_in_the_dialog(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write(tmp_path)
    async with dev_page(tmp_path, browser, pace=10) as dev:
        page = dev.page
        await choose(dev, "A persona of your own")
        await page.fill("#simulate-goal", "buy a cake")
        await page.fill("#simulate-model", "openai:gpt-5-mini")
        await page.click("#simulate-start")
        error = page.locator("#simulate .error-box")
        await expect(error).to_contain_text("OPENAI_API_KEY is not set. Put it into .env", timeout=SECONDS)
        # What was typed is there again after a reload.
        await choose(dev, "a model")
        await expect(page.locator("#simulate-model")).to_have_value("openai:gpt-5-mini")
        await page.select_option("#simulate-caller", "own")
        await expect(page.locator("#simulate-goal")).to_have_value("buy a cake")
        assert app_is_idle(dev)


def app_is_idle(dev: DevPage) -> bool:
    return dev.app.simulated.calls() == []
