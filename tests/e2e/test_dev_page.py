"""The dev page in headless Chromium: calls, interruptions, turns in detail, forks, reloads, faults and exports.

The longest test makes a call and interrupts one of its turns. Then it opens another turn and forks it.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from layercode_app.dev.app import DevApp
from layercode_app.journal.record import Status, TurnRecord

from ..dev.serving import AGENTS, dev_server
from .dev_page import SECONDS, DevPage, dev_page

pytestmark = pytest.mark.anyio


async def recorded(page: DevPage) -> list[TurnRecord]:
    return [turn async for turn in page.app.layercode.store.turns() if turn.kind in ("greeting", "message")]


@pytest.mark.slow
async def test_a_call_is_held_interrupted_looked_into_and_forked(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser) as dev:
        page = dev.page
        await dev.call("shop")
        await dev.say("one cake please")
        await dev.heard(1)
        await dev.say("tell me a story")
        await expect(page.locator("#interrupt")).to_be_visible()
        # Wait for three words: the page may already show one or two words before they have been played.
        await expect(dev.turn(2).locator(".heard")).to_have_text(re.compile(r"(\S+ ){3}"))
        await page.keyboard.press("Escape")
        await expect(dev.turn(2).locator(".reply .cut")).not_to_be_empty()
        await dev.say("never mind")
        await dev.heard(3)

        # The page shows the heard words and the cut-off words as they are in the journal.
        turns = await recorded(dev)
        story = turns[2]
        assert story.status is Status.INTERRUPTED
        assert story.heard_text
        assert await dev.turn(2).locator(".heard").text_content() == story.heard_text
        cut = await dev.turn(2).locator(".reply .cut").text_content()
        assert cut
        # The words that the agent spoke at the instant of the interruption may not have reached the page.
        assert story.spoken_text.startswith(story.heard_text + cut)
        assert await dev.turn(3).locator(".heard").text_content() == "You said: never mind."

        # The waterfall of the turn that used a tool.
        await dev.turn(1).click()
        await expect(page.locator(".turn-head h2")).to_have_text("Turn 2")
        rows = page.locator(".wf-row")
        names = ["verify", "history", "prepare", "model", "between", "sell", "wrap up", "wrap up: offline", "model 2"]
        names += ["finish", "speech"]
        await expect(rows).to_have_count(len(names))
        assert [await rows.nth(i).get_attribute("data-span") for i in range(len(names))] == names
        await expect(page.locator(".tool-call .name")).to_have_text("sell")
        stage = await page.locator(".stages tbody td").all_text_contents()
        assert (stage[0], stage[3]) == ("wrap up", "$0")
        assert re.fullmatch(r"\d+ \+ \d+", stage[2]), stage

        # Fork the same turn with other words. The tools answer from their recordings.
        await dev.tab("fork")
        await page.fill("#fork-say", "a cake and a story")
        await page.click("text=Fork from here")
        result = page.locator("#fork-result")
        await expect(result.locator(".side")).to_have_count(2)
        await expect(result).to_contain_text("answered from its recording")
        assert len(await recorded(dev)) == 4
        assert dev.errors == []


async def test_the_start_page_shows_own_agents_first_and_examples_below(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser) as dev:
        await dev.page.goto(dev.app.url)
        cards = dev.page.locator("[data-agent]")
        await expect(cards.first).to_have_attribute("data-agent", "shop")
        await expect(dev.page.locator(".examples h2")).to_have_text("Examples")
        await expect(dev.page.locator(".examples [data-agent=shop]")).to_have_count(0)
        await expect(dev.page.locator(".examples [data-agent=bakery]")).to_have_count(1)
    assert not dev.errors


@pytest.mark.slow
async def test_every_part_of_a_turn_can_be_read(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await dev.call("shop")
        await dev.say("one cake please")
        await dev.heard(1)
        await dev.tab("messages")
        await expect(page.locator(".message .role").first).to_be_visible()
        roles = await page.locator(".message .role").all_text_contents()
        assert roles == ["caller", "model calls sell", "tool answers sell", "model"]
        await dev.tab("frames")
        kinds = await page.locator("td.kind").all_text_contents()
        assert (kinds[0], kinds[-1]) == ("data", "end")
        await dev.tab("event")
        event = json.loads(await page.locator("pre.json").text_content() or "")
        assert (event["type"], event["text"]) == ("message", "one cake please")
        await dev.tab("logs")
        await expect(page.locator(".panel")).to_contain_text("No log files are written")
        await page.click(".turn-head .listen")
        await expect(page.locator(".turn-head .listen")).to_have_text("Stop")
        await expect(page.locator(".turn-head .listen")).to_have_text("Listen")
        await dev.tab("time")
        await page.click("#replay")
        await expect(page.locator(".replay-text")).to_contain_text("Certainly")
        assert dev.errors == []


@pytest.mark.slow
async def test_data_reaches_the_agent_and_its_answer_the_page(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        await dev.call("shop")
        await dev.page.click("#data-button")
        await dev.page.fill("#data", '{"page": "checkout"}')
        await dev.page.keyboard.press("Enter")
        await expect(dev.turn(0).locator(".chip")).to_have_attribute("title", '{"seen":{"page":"checkout"}}')
        await expect(dev.page.locator(".aside-row .chip")).to_have_text('data {"page":"checkout"}')


@pytest.mark.slow
async def test_the_agent_is_told_who_calls(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.goto(dev.app.url)
        await page.click("text=Who is calling?")
        await page.fill("#metadata", '["ada"]')
        await page.click('[data-agent="shop"]')
        await expect(page.locator(".toast")).to_have_text("The caller's metadata must be a JSON object.")
        await page.fill("#metadata", '{"user": "ada"}')
        await page.click('[data-agent="shop"]')
        await dev.heard(0)
        assert [turn.metadata for turn in await recorded(dev)] == [{"user": "ada"}]

        # Wrong metadata for a next call does not end the call that goes on.
        await page.evaluate("location.hash = ''")
        await page.fill("#metadata", "ada")
        await page.click('[data-agent="shop"]')
        await expect(page.locator(".toast")).to_have_text("The caller's metadata must be a JSON object.")
        await expect(page.locator("#hang-up")).to_be_visible()


@pytest.mark.slow
async def test_faults_are_set_and_felt(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.goto(dev.app.url)
        await page.click("#faults-button")
        await page.select_option("#fault-status", "402")
        await page.click("text=Apply")
        await expect(page.locator("#faults-button")).to_have_text(
            "Faults: sessions refused with 402", use_inner_text=True
        )
        await page.click('[data-agent="shop"]')
        await expect(page.locator(".toast")).to_have_text("Insufficient balance")
        assert dev.app.emulator.faults.authorize_status == 402


@pytest.mark.slow
async def test_the_keyboard_alone_will_do(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.goto(dev.app.url)
        await page.locator('[data-agent="shop"]').focus()
        await page.keyboard.press("Enter")
        await dev.heard(0)
        await expect(page.locator("#say")).to_be_focused()
        await page.keyboard.type("hello")
        await page.keyboard.press("Enter")
        await dev.heard(1)
        await dev.turn(1).focus()
        await page.keyboard.press("ArrowUp")
        await expect(page.locator(".turn-head h2")).to_have_text("Turn 1")
        await page.locator("#tab-time").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("#tab-messages")).to_be_focused()
        await expect(page.locator("#tab-messages")).to_have_attribute("aria-selected", "true")


@pytest.mark.slow
async def test_a_reload_of_page_or_agents_loses_nothing(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await dev.call("shop")
        await dev.say("one cake please")
        await dev.heard(1)
        dev.app.reload(dev.app.layercode.settings)
        await expect(page.locator(".toast")).to_have_text("Agents reloaded.")
        await dev.say("another cake please")
        await expect(dev.turn(2).locator(".heard")).to_have_text("Certainly, 2 cakes sold so far.")
        await page.reload()
        await expect(dev.turn(2).locator(".heard")).to_have_text("Certainly, 2 cakes sold so far.")
        await page.click("text=Continue this call")
        await dev.heard(3)
        assert {turn.conversation_id for turn in await recorded(dev)} == {(await recorded(dev))[0].conversation_id}


@pytest.mark.slow
async def test_the_focus_stays_when_what_has_it_is_drawn_again(tmp_path: Path, browser: Browser) -> None:
    agents = Path(shutil.copytree(AGENTS, tmp_path / "agents"))
    async with dev_page(tmp_path, browser, pace=30, agents=agents) as dev:
        page, toast = dev.page, dev.page.locator(".toast")
        await page.goto(dev.app.url)
        await page.click("text=Who is calling?")
        simulate = page.locator('[data-simulate="shop"]')
        await simulate.focus()
        dev.app.reload(dev.app.layercode.settings)
        await expect(toast).to_have_text("Agents reloaded.")
        await expect(simulate).to_be_focused()
        await expect(page.locator("details.who-calls")).to_have_attribute("open", "")

        file = agents / "shop.py"
        file.write_text(file.read_text().replace("sells cakes", "sells bread"))
        dev.app.reload(dev.app.layercode.settings)
        await expect(page.locator(".agent-card").first).to_contain_text("Sells bread")
        await expect(simulate).to_be_focused()

        await dev.call("shop")
        row = page.locator(".call")
        await row.focus()
        for text in ("one cake please", "another cake please"):
            before = await row.text_content()
            await page.evaluate("text => { say.value = text; say.form.requestSubmit(); }", text)
            await expect(row).not_to_have_text(before or "")
            await expect(row).to_be_focused()


@pytest.mark.slow
async def test_a_call_is_shown_whole_before_the_live_feed_is_open(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        feed = asyncio.Event()

        async def hold(route: Route) -> None:
            await feed.wait()
            await route.continue_()

        await dev.page.route("**/dev/api/live", hold)
        await dev.call("shop")
        figures = dev.turn(0).locator(".meta .num")
        await expect(figures).to_have_count(0)
        feed.set()
        await expect(figures.first).to_have_text(re.compile(r"\d+ m?s"))


@pytest.mark.slow
async def test_a_phone_shows_one_view_at_a_time_and_nothing_overflows(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await page.set_viewport_size({"width": 360, "height": 740})
        await dev.call("shop")
        await dev.say("one cake please")
        await dev.heard(1)
        await dev.say("hello")
        await dev.heard(2)

        # The arrow keys move between the turns. Enter shows the turn.
        await dev.turn(2).focus()
        for index in (1, 0):
            await page.keyboard.press("ArrowUp")
            await expect(dev.turn(index)).to_be_focused()
            await expect(dev.turn(index)).to_have_attribute("aria-pressed", "true")
        await expect(page.locator("#turn")).to_be_hidden()
        await page.keyboard.press("Enter")
        await expect(page.locator(".turn-head h2")).to_have_text("Turn 1")
        await expect(page.locator("#turn")).to_be_visible()

        for name, pane in (("Calls", "#calls"), ("Turn", "#turn"), ("Talk", "#talk")):
            await page.click(f".tabs-bottom >> text={name}")
            await expect(page.locator(pane)).to_be_visible()
            assert await page.locator(".pane:visible").count() == 1
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
async def test_an_exported_call_opens_from_a_file(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30) as dev:
        page = dev.page
        await dev.call("shop")
        await dev.say("one cake please, my number is +1 415 555 0199")
        await dev.heard(1)
        await page.click("#hang-up")
        async with page.expect_download() as download:
            await page.click("text=Export this call")
        file = tmp_path / "call.html"
        await (await download.value).save_as(file)
        await page.goto(file.as_uri())
        await expect(dev.turn(1).locator(".said")).to_have_text(
            re.compile(r"one cake please, my number is \[redacted\]")
        )
        await expect(page.locator(".wf-row")).to_have_count(11)
        await dev.tab("messages")
        await expect(page.locator(".message").first).to_be_visible()
        assert dev.errors == []


@pytest.mark.slow
async def test_more_tabs_than_a_browser_opens_connections_all_hear_of_a_reload(
    tmp_path: Path, browser: Browser
) -> None:
    agent = "from layercode_app import VoiceAgent\nagent = VoiceAgent('word', greeting='Hello.')\n"
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "word.py").write_text(agent)

    async def reload(app: DevApp, text: str, tabs: list[Page], problems: int) -> None:
        (folder / "word.py").write_text(text)
        app.reload(app.layercode.settings)
        for tab in tabs:
            await expect(tab.locator("#problems-button")).to_have_count(problems, timeout=SECONDS)

    async with dev_server(tmp_path, agents=folder, agent="word") as app, await browser.new_context() as context:
        tabs = [await context.new_page() for _ in range(7)]
        for tab in tabs:
            await tab.goto(app.url)
            await expect(tab.locator('[data-agent="word"]').first).to_be_visible(timeout=SECONDS)
        await reload(app, "1 / 0", tabs, problems=1)
        await tabs.pop(0).close()
        await reload(app, agent, tabs, problems=0)


@pytest.mark.slow
async def test_the_feed_is_read_again_after_another_server_answered_in_its_place(
    tmp_path: Path, browser: Browser
) -> None:
    async with dev_server(tmp_path) as app, await browser.new_context() as context:
        tabs = [await context.new_page() for _ in range(2)]
        await context.route("**/dev/api/live", lambda route: route.fulfill(status=404))
        for tab in tabs:
            await tab.goto(app.url)
            await expect(tab.locator("#status")).to_contain_text("The development server is down.", timeout=SECONDS)
        await context.unroute("**/dev/api/live")
        for tab in tabs:
            await expect(tab.locator("#status")).not_to_contain_text("down", timeout=SECONDS)
        app.reload(app.layercode.settings)
        for tab in tabs:
            await expect(tab.locator(".toast")).to_have_text("Agents reloaded.", timeout=SECONDS)
