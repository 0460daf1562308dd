"""How a call starts on the dev page: continued after a hand-over, with a double click, or instead of another call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route, expect

from layercode_app.journal.record import Kind

from .dev_page import DevPage, dev_page

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

COUNTING = """from pydantic import BaseModel
from layercode_app import Turn, VoiceAgent

class Counted(BaseModel):
    turns: int = {start}

agent = VoiceAgent("{name}", state=Counted, greeting="{name} speaks.")

@agent.on_message
async def answer(turn: Turn[Counted]) -> str | None:
    turn.state.turns += 1
    if "{other}" in turn.text:
        turn.hand_to("{other}", say="One moment.")
        return None
    return f"{name} {{turn.state.turns}}"
"""


def two_agents(tmp_path: Path) -> Path:
    """Write two agents that count their own turns and hand a call to each other."""
    folder = tmp_path / "agents"
    folder.mkdir()
    for name, other, start in (("desk", "billing", 0), ("billing", "desk", 100)):
        (folder / f"{name}.py").write_text(COUNTING.format(name=name, other=other, start=start))
    return folder


async def test_a_call_that_was_handed_over_goes_on_where_it_stopped(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=30, agents=two_agents(tmp_path), agent="desk") as dev:
        await dev.call("desk")
        for place, text in enumerate(("billing please", "hello"), 1):
            await dev.say(text)
            await dev.heard(place)
        await expect(dev.turn(2).locator(".heard")).to_have_text("billing 101")
        await dev.page.click("#hang-up")
        await dev.page.click("text=Continue this call")
        await dev.heard(3)
        for place, (text, answer) in enumerate(
            (("hello", "billing 102"), ("desk please", "One moment."), ("hello", "desk 2")), 4
        ):
            await dev.say(text)
            await dev.heard(place)
            await expect(dev.turn(place).locator(".heard")).to_have_text(answer)
        turns = [turn async for turn in dev.app.layercode.store.turns() if turn.kind is Kind.MESSAGE]
        assert [turn.agent for turn in turns] == ["desk", "billing", "billing", "billing", "desk"]
        assert dev.errors == []


COUNT_SOCKETS = """
window.sockets = [];
const Real = WebSocket;
window.WebSocket = class extends Real { constructor(...given) { super(...given); sockets.push(this); } };
"""
OPEN = "sockets.filter((one) => one.readyState === WebSocket.OPEN).length"


async def words_of_caller(dev: DevPage) -> list[str]:
    return [turn.user_text async for turn in dev.app.layercode.store.turns() if turn.kind is Kind.MESSAGE]


@pytest.mark.parametrize("how", ["double click", "Enter held down"])
async def test_a_button_that_is_pressed_twice_starts_one_call_and_speaks_once(
    tmp_path: Path, browser: Browser, how: str
) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "shop.yaml").write_text("agent: shop\nscenarios: [{name: s, turns: [{say: hello}]}]")
    async with dev_page(tmp_path, browser, pace=30) as dev:

        async def press(button: str) -> None:
            await dev.page.focus(button)
            for _ in range(4 if how == "Enter held down" else 0):
                await dev.page.keyboard.down("Enter")
            await (dev.page.keyboard.up("Enter") if how == "Enter held down" else dev.page.dblclick(button))

        await dev.page.add_init_script(COUNT_SOCKETS)
        await dev.page.goto(dev.app.url)
        await press('[data-agent="shop"]')
        await dev.heard(0)
        await press(".suggestions button")
        await dev.heard(1)
        assert await words_of_caller(dev) == ["hello"]
        await dev.page.click("#data-button")
        await dev.page.fill("#data", '{"page": 1}')
        await press("text=Send data" if how == "double click" else "#data")
        await expect(dev.page.locator(".aside-row .chip")).to_have_text(['data {"page":1}'])
        await dev.page.click("#hang-up")
        await press("text=Continue this call")
        await dev.heard(2)
        assert await dev.page.evaluate("sockets.length") == 2
        await dev.page.click("#hang-up")
        await expect(dev.page.locator("#new-call")).to_be_visible()
        assert await dev.page.evaluate(OPEN) == 0
        assert dev.errors == []


@pytest.mark.parametrize("other", ["another call", "a simulated call"])
async def test_a_call_that_is_not_open_yet_is_given_up_for_another(
    tmp_path: Path, browser: Browser, other: str
) -> None:
    (tmp_path / "evals").mkdir()
    scenario = "agent: shop\nscenarios: [{name: s, caller: {script: [{say: Tell me a story}]}}]"
    (tmp_path / "evals" / "shop.yaml").write_text(scenario)
    async with dev_page(tmp_path, browser) as dev:
        page, opened = dev.page, asyncio.Event()

        async def hold(route: Route) -> None:
            await opened.wait()
            await route.continue_()

        await page.route("**/dev/api/sessions", hold)
        await page.add_init_script(COUNT_SOCKETS)
        await page.goto(dev.app.url)
        await page.click('[data-agent="shop"]')
        if other == "another call":
            await page.click('[data-agent="shop"]')
            opened.set()
        else:
            await page.click('[data-simulate="shop"]')
            await page.click("#simulate-start")
            await expect(page.locator("#simulated-mute")).to_be_visible()
            async with page.expect_response("**/dev/api/sessions"):
                opened.set()
        await expect(dev.turn(0).locator(".heard")).not_to_be_empty()
        await expect(page.locator("#simulated-mute")).to_have_count(int(other == "a simulated call"))
        await page.click("#hang-up")
        await expect(page.locator("#hang-up")).to_have_count(0)
        assert await page.evaluate(OPEN) == 0
        assert dev.errors == []


SCENARIO = """agent: shop
scenarios: [{name: long, caller: {script: [{say: Tell me a story}, {say: Tell me a story}, {say: Tell me a story}]}}]
"""


async def test_a_call_that_is_not_open_yet_goes_on_while_a_simulated_call_is_shown(
    tmp_path: Path, browser: Browser
) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "shop.yaml").write_text(SCENARIO)
    async with dev_page(tmp_path, browser, pace=1) as dev:
        page, opened = dev.page, asyncio.Event()
        await page.add_init_script(COUNT_SOCKETS)
        await page.goto(dev.app.url)
        await page.click('[data-simulate="shop"]')
        await page.click("#simulate-start")
        await expect(page.locator("#simulated-mute")).to_be_visible()
        simulated = await page.evaluate("location.hash")
        await page.evaluate("location.hash = '#'")

        async def hold(route: Route) -> None:
            await opened.wait()
            await route.continue_()

        await page.route("**/dev/api/sessions", hold)
        await page.click('[data-agent="shop"]')
        await page.evaluate(f"location.hash = '{simulated}'")
        await page.wait_for_timeout(600)
        opened.set()
        await expect(page.locator("#hang-up")).to_be_visible()
        assert await page.evaluate(OPEN) == 1
