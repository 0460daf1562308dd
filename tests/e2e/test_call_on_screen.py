"""The dev page during a call: which call gets the typed words, what the agent is doing, and what stays in view."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route, expect

from layercode_app.journal.record import Kind, TurnRecord

from ..dev.serving import AGENTS
from .dev_page import SECONDS, DevPage, dev_page

pytestmark = pytest.mark.anyio

QUIET = '''"""Quiet: says nothing, or far too much."""
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("quiet")

@agent.on_message
async def answer(turn: Turn) -> str:
    return "word " * 900 if "long" in turn.text else ""
'''


def with_quiet(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    shutil.copytree(AGENTS, folder)
    (folder / "quiet.py").write_text(QUIET)
    return folder


async def says_it_is(dev: DevPage, state: str) -> None:
    await expect(dev.page.locator("#live-call .state")).to_have_text(state, timeout=SECONDS)


@pytest.mark.slow
async def test_only_the_call_on_screen_is_spoken_into(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await dev.call("shop")
        await dev.say("hello")
        await dev.heard(1)
        await page.click("#hang-up")
        past = page.url
        await dev.call("shop")
        live = page.url
        assert live != past
        await says_it_is(dev, "listening")

        # Another call, the start page and an unknown address have no field for words, but a link back to the live call.
        for place in (past, dev.app.url, f"{dev.app.url}/#nobody"):
            await page.evaluate("place => { location.hash = new URL(place).hash }", place)
            await expect(page.locator("#composer")).to_be_hidden()
            await page.keyboard.press("/")
            await expect(page.locator("#say")).not_to_be_focused()
            await page.click("#live-call")
            assert page.url == live
            await expect(page.locator("#composer")).to_be_visible()
        await page.set_viewport_size({"width": 390, "height": 740})
        for view in ("Calls", "Turn"):
            await page.click(f".tabs-bottom >> text={view}")
            await page.click("#live-call")
            await expect(page.locator("#say")).to_be_visible()
        await dev.say("still here")
        await dev.heard(1)
        conversation = live.partition("#")[2]
        said = [turn.user_text async for turn in dev.app.layercode.store.turns(conversation_id=conversation)]
        assert said == ["", "still here"]


@pytest.mark.slow
async def test_no_state_stays_even_without_the_live_feed(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30, agents=with_quiet(tmp_path)) as dev:
        page = dev.page

        async def hold(route: Route) -> None:
            """Never answer: the page learns nothing from the feed."""

        await page.route("**/dev/api/live", hold)
        await page.goto(dev.app.url)
        await page.click('[data-agent="quiet"]')
        await says_it_is(dev, "listening")
        await dev.say("hush")
        await expect(dev.turn(1).locator(".reply")).to_have_text("The agent said nothing.")
        await says_it_is(dev, "listening")
        await expect(page.locator("#interrupt")).to_be_hidden()

        # A webhook that is lost.
        dev.app.emulator.faults.drop_webhooks = True
        await dev.say("is anybody there?")
        await expect(dev.turn(2).locator(".reply")).to_have_text("The agent said nothing.")
        await says_it_is(dev, "listening")
        dev.app.emulator.faults.drop_webhooks = False

        # Let the caller hang up in the middle of an answer.
        await dev.say("something long")
        await says_it_is(dev, "speaking")
        await expect(dev.turn(3).locator(".badge.live")).to_have_text("speaking")
        await page.click("#hang-up")
        await expect(page.locator(".badge.live")).to_have_count(0)
        await expect(page.locator(".thinking")).to_have_count(0)
        await expect(dev.turn(3).locator(".badge")).to_have_text("interrupted")


@pytest.mark.slow
async def test_sound_that_never_ends_does_not_keep_a_turn_open(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        # Imitate a browser whose sound device is gone: the clock of its audio stands still.
        await dev.page.add_init_script("AudioContext.prototype.resume = function () { return this.suspend(); };")
        await dev.page.goto(dev.app.url)
        await dev.page.click('[data-agent="shop"]')
        await says_it_is(dev, "listening")


@pytest.mark.slow
async def test_a_long_answer_is_followed_word_by_word(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=3, agents=with_quiet(tmp_path)) as dev:
        page = dev.page
        await page.goto(dev.app.url)
        await page.click('[data-agent="quiet"]')
        await says_it_is(dev, "listening")
        await dev.say("something long")
        await says_it_is(dev, "speaking")
        await expect(dev.turn(1).locator(".heard")).to_have_text(re.compile(r"(word ){8}"))
        # The first words of the answer are in view. The rest is below, and is much longer than the window.
        place = "() => { const e = document.getElementById('transcript-scroll'); return [e.scrollTop, e.scrollHeight - e.clientHeight]; }"
        top, end = await page.evaluate(place)
        assert top < end / 2
        edge = "() => document.querySelector('.waiting').getClientRects()[0].top"
        assert 0 < await page.evaluate(edge) < 900

        # When the user scrolls, the page does not scroll back by itself. A click on `#to-now` scrolls it back.
        await dev.turn(1).hover()
        await page.mouse.wheel(0, 900)
        await expect(page.locator("#to-now")).to_be_visible()
        await page.click("#to-now")
        await expect(page.locator("#to-now")).to_be_hidden()
        assert 0 < await page.evaluate(edge) < 900


async def test_a_turn_that_its_worker_never_finished_is_not_speaking(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        left = TurnRecord("crashed", "t1", Kind.MESSAGE, "shop", user_text="hello", started_at=1.0)
        await dev.app.layercode.store.begin(left, history_tokens=0)
        await dev.page.goto(f"{dev.app.url}/#crashed")
        await expect(dev.turn(0).locator(".reply")).to_have_text("There is no answer yet.")
        await expect(dev.turn(0).locator(".badge")).to_have_text("not finished")
        await expect(dev.page.locator("#turn .badge")).to_have_text("not finished")


KEEP_VOLUMES = """
window.volumes = [];
const create = AudioContext.prototype.createGain;
AudioContext.prototype.createGain = function () { const node = create.call(this); volumes.push(node.gain); return node; };
"""


@pytest.mark.slow
async def test_a_muted_agent_is_also_muted_in_the_next_call(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "evals").mkdir()
    scenario = "agent: shop\nscenarios: [{name: s, caller: {script: [{say: Tell me a story}]}}]"
    (tmp_path / "evals" / "shop.yaml").write_text(scenario)
    async with dev_page(tmp_path, browser) as dev:
        page = dev.page
        await page.add_init_script(KEEP_VOLUMES)
        await dev.call("shop")
        own, simulated = page.get_by_label("Mute the agent"), page.locator("#simulated-mute")
        await own.click()
        await expect(own).to_have_attribute("aria-pressed", "true")

        await page.click("#hang-up")
        await page.click("#new-call")
        await page.click('[data-agent="shop"]')
        await expect(own).to_be_visible()
        await expect(own).to_have_attribute("aria-pressed", "true")
        assert await page.evaluate("volumes.map((one) => one.value)") == [0, 0]

        # The buttons of an own call and of a simulated call show and change the same.
        await page.click(".brand")
        await page.click('[data-simulate="shop"]')
        await page.click("#simulate-start")
        await expect(simulated).to_have_text("Sound on")
        assert await page.evaluate("volumes.at(-1).value") == 0
        await simulated.click()
        await expect(simulated).to_have_text("Mute")
        await expect(simulated).to_be_focused()
        assert await page.evaluate("volumes.at(-1).value") == 1
        await page.click(".brand")
        await page.click('[data-agent="shop"]')
        await expect(own).to_be_visible()
        await expect(own).to_have_attribute("aria-pressed", "false")
        assert await page.evaluate("volumes.at(-1).value") == 1
        assert dev.errors == []
