"""The dev page offers help: the browser's own voice, sentences to try, saved turns and the skip link.

On the narrowest phone, nothing is hidden.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from layercode_app import VoiceAgent
from layercode_app.emulator.speech import Silence

from .dev_page import DevPage, dev_page

pytestmark = pytest.mark.anyio
NAME = "an_agent_with_an_exceptionally_long_name"
VOICE = """
window.spoken = [];
const voice = Object.assign(new EventTarget(), {
  getVoices: () => [{ name: "Test" }],
  speak(utterance) { window.spoken.push(utterance.text.trim()); window.finish = () => utterance.onend(); },
  cancel() { window.cancelled = true; },
});
Object.defineProperty(window, "speechSynthesis", { value: voice });
"""
"""A voice for Chromium, which has none without a desktop. It records each text, and ends when the test says so."""
HIDDEN = """
() => [...document.querySelectorAll("main *, header *, footer *, nav *")].filter((element) => {
  if (!element.checkVisibility({ visibilityProperty: true }) || !element.childElementCount === 0) return false;
  if (element.closest(".turn, .skip, .sr, #hang-up span, option, svg")) return false;
  const box = element.getBoundingClientRect();
  return box.width > 1 && (box.left < -1 || box.right > innerWidth + 1 || element.scrollWidth > element.clientWidth + 1 &&
    getComputedStyle(element).overflowX !== "visible" && !/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName));
}).map((element) => `${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}`)
"""


async def spoken(dev: DevPage, *texts: str) -> None:
    """Wait until the browser's voice was given these texts."""
    await dev.page.wait_for_function(
        "texts => JSON.stringify(window.spoken) === JSON.stringify(texts)", arg=list(texts)
    )


async def state(dev: DevPage, text: str) -> None:
    await expect(dev.page.locator("#live-call .state")).to_have_text(text)


@pytest.mark.slow
async def test_the_browser_speaks_where_the_server_cannot(tmp_path: Path, browser: Browser) -> None:
    voice = Silence(fallback=True)
    async with dev_page(tmp_path, browser, voice=voice) as dev:
        page = dev.page
        await page.goto(dev.app.url)
        await expect(page.locator(".status-note")).to_have_text(
            "No sound: install espeak-ng, or use a browser with a voice."
        )
        await page.add_init_script(VOICE)
        await page.reload()
        note = "Your browser's own voice speaks: espeak-ng is not installed."
        await expect(page.locator(".status-note")).to_have_text(note)
        await page.click('[data-agent="shop"]')
        await spoken(dev, "Welcome to the shop.")
        await state(dev, "speaking")
        voice.pace = 100
        await page.evaluate("finish()")
        await state(dev, "listening")

        # The voice decides how long the agent speaks, not the emulator's clock.
        await dev.say("hello")
        await spoken(dev, "Welcome to the shop.", "You said: hello.")
        await expect(page.locator(".call")).to_contain_text("2 turns")
        await state(dev, "speaking")
        await page.evaluate("finish()")
        await state(dev, "listening")

        voice.pace = 1
        await page.evaluate("window.spoken.length = 0; window.cancelled = false")
        await dev.say("tell me a story")
        await page.wait_for_function("() => window.spoken.length === 1")
        await page.evaluate("finish()")
        await page.wait_for_function("() => window.spoken.length === 2")
        await page.keyboard.press("Escape")
        await state(dev, "listening")
        assert await page.evaluate("window.cancelled")
        await expect(dev.turn(2).locator(".badge")).to_have_text("interrupted")
        await page.evaluate("window.spoken.length = 0")
        await dev.turn(1).click()
        await page.click(".turn-head .listen")
        await spoken(dev, "You said: hello.")
        await page.evaluate("finish()")
        await expect(page.locator(".turn-head .listen")).to_have_text("Listen")
        assert dev.errors == []


async def test_sentences_to_try_and_turns_to_keep(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "evals").mkdir()
    scenario = "agent: shop\nscenarios: [{name: s, turns: [{say: one cake please}, {say: And a story}]}]"
    (tmp_path / "evals" / "shop.yaml").write_text(scenario)
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.goto(dev.app.url)
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#talk")).to_be_focused()
        card = page.locator(".agent-card", has=page.locator('[data-agent="shop"]'))
        await expect(card.locator("q")).to_have_text(["one cake please", "And a story"])
        await page.click('[data-agent="shop"]')
        await dev.heard(0)
        await page.click(".suggestions >> text=one cake please")
        await expect(page.locator(".suggestions")).to_have_count(0)
        await dev.heard(1)
        await page.click("#save-test")
        test = "tests/test_shop_one_cake_please.py"
        await expect(page.locator(".toast")).to_have_text(f"Saved as {test}. Run it with pytest.")
        assert (tmp_path / test).exists()
        await page.click("#save-scenario")
        await expect(page.locator(".toast")).to_contain_text("Saved as evals/shop_one_cake_please.yaml")
        assert dev.errors == []


@pytest.mark.slow
async def test_a_sentence_to_try_that_changed_is_said_as_it_is_shown(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "evals").mkdir()
    scenario = "agent: shop\nscenarios: [{{name: s, turns: [{{say: {}}}]}}]"
    (tmp_path / "evals" / "shop.yaml").write_text(scenario.format("an old sentence"))
    async with dev_page(tmp_path, browser, pace=30) as dev:
        button = dev.page.locator(".suggestions button")
        await dev.call("shop")
        await expect(button).to_have_text("an old sentence")
        (tmp_path / "evals" / "shop.yaml").write_text(scenario.format("a new sentence"))
        dev.app.reload(dev.app.layercode.settings)
        await expect(button).to_have_text("a new sentence")
        await button.click()
        await expect(dev.turn(1).locator(".said")).to_have_text("a new sentence")
        assert dev.errors == []


async def test_a_reply_of_which_nothing_was_heard_cannot_be_listened_to(tmp_path: Path, browser: Browser) -> None:
    voice = Silence(pace=100)
    async with dev_page(tmp_path, browser, voice=voice) as dev:
        await dev.call("shop")
        await expect(dev.page.locator(".turn-head .listen")).to_have_text("Listen")
        voice.pace = 0.05  # The first word alone takes seconds.
        await dev.say("tell me a story")
        await state(dev, "speaking")
        await dev.page.keyboard.press("Escape")
        await expect(dev.turn(1).locator(".badge")).to_have_text("interrupted")
        await expect(dev.turn(1).locator(".heard")).to_be_empty()
        await expect(dev.page.locator("#save-test")).to_be_visible()
        await expect(dev.page.locator(".turn-head h2")).to_have_text("Turn 2")
        await expect(dev.page.locator(".turn-head .listen")).to_have_count(0)
    assert dev.errors == []


@pytest.mark.slow
async def test_nothing_is_hidden_on_the_narrowest_phone(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        dev.app.layercode.apply(dev.app.layercode.settings, long_named(), *dev.app.layercode.agents.values())
        dev.app.emulator.use(*dev.app._specs())
        dev.app.emulator.faults.duplicate = True
        await page.set_viewport_size({"width": 320, "height": 640})
        await page.goto(dev.app.url)
        await expect(page.locator(".agent-card")).not_to_have_count(0)
        assert await page.evaluate(HIDDEN) == []
        await page.click(f'[data-agent="{NAME}"]')
        await dev.heard(0)
        await dev.say("x" * 80)
        await dev.heard(1)
        for view in ("Calls", "Talk"):
            await page.click(f".tabs-bottom >> text={view}")
            assert await page.evaluate(HIDDEN) == []
        for name in (".brand", "#live-call", "#hang-up", "#faults-button", "#theme-button"):
            await expect(page.locator(name)).to_be_in_viewport(ratio=1)
        await page.click("#hang-up")
        await expect(page.locator("text=Continue this call")).to_be_visible()
        assert await page.evaluate(HIDDEN) == []


def long_named() -> VoiceAgent[Any, Any]:
    agent: VoiceAgent[Any, Any] = VoiceAgent(NAME, greeting="Hello.")

    @agent.on_message
    async def repeat(turn: Any) -> str:
        return f"{turn.text} {turn.text}"

    return agent
