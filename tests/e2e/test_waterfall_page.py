"""The waterfall in headless Chromium: its bars add up to the whole turn, and `sessions explain` says the same.

A click on a bar leads to the bar's message, and another click leads back.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from playwright.async_api import Browser, expect
from typer.testing import CliRunner

from layercode_app.cli.main import app as cli
from layercode_app.journal.record import TurnRecord

from .dev_page import SECONDS, DevPage, dev_page

pytestmark = pytest.mark.anyio

CLERK = '''
"""Clerk: two model requests of 0.12 s, a tool of 0.08 s between them, and a filler meanwhile."""

import asyncio

from pydantic_ai import Agent

from layercode_app import Call, VoiceAgent

clerk = Agent(instructions="You look things up.")
agent = VoiceAgent("clerk", clerk, greeting="Hello.", filler="One moment.", filler_after=0.03)


@clerk.tool_plain
async def look_up(what: str) -> str:
    await asyncio.sleep(0.08)
    return "42"


@agent.offline
async def script(scene):
    await asyncio.sleep(0.12)
    if scene.results:
        yield f"It is {scene.results['look_up']}."
    else:
        yield Call("look_up", {"what": scene.text})
'''


async def waiting_turn(dev: DevPage, agents: Path) -> dict[str, Any]:
    """Make a call with one question, wait until the page shows its turn, and return the turn as the page gets it."""
    await dev.call("clerk")
    await dev.say("what is it")
    await dev.heard(1)
    await expect(dev.page.locator(".turn-head h2")).to_have_text("Turn 2", timeout=SECONDS)
    await expect(dev.page.locator(".verdict")).to_be_visible(timeout=SECONDS)
    turns = [turn async for turn in dev.app.layercode.store.turns() if turn.kind == "message"]
    assert len(turns) == 1
    return await of_page(dev, turns[0])


async def of_page(dev: DevPage, turn: TurnRecord) -> dict[str, Any]:
    path = f"/dev/api/conversations/{turn.conversation_id}/turns/{turn.turn_id}"
    found: dict[str, Any] = await (await dev.page.request.get(dev.app.url + path)).json()
    return found


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "clerk.py").write_text(CLERK)
    return folder


async def explained(tmp_path: Path, turn: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what `sessions explain` says of the turn, in words and as JSON."""
    command = ["sessions", "explain", turn["conversation_id"], "--store", f"sqlite:///{tmp_path}/journal.sqlite3"]

    def run(*more: str) -> str:
        done = CliRunner().invoke(cli, [*command, *more], catch_exceptions=False, env={"COLUMNS": "2000"})
        return done.stdout

    words, data = await anyio.to_thread.run_sync(run), await anyio.to_thread.run_sync(run, "--json")
    line = next(line for line in words.splitlines() if line.startswith(turn["turn_id"]))
    return line, next(one for one in json.loads(data) if one["turn_id"] == turn["turn_id"])


async def test_the_bars_add_up_to_the_turn_and_explain_says_the_same(
    tmp_path: Path, browser: Browser, agents: Path
) -> None:
    async with dev_page(tmp_path, browser, pace=30, agents=agents, agent="clerk") as dev:
        page = dev.page
        turn = await waiting_turn(dev, agents)
        chart = turn["waterfall"]
        own = {step["name"]: step["own_ms"] for step in chart["steps"]}
        assert sum(own.values()) == pytest.approx(chart["total_ms"])
        assert (own["model"] > 119, own["look_up"] > 79, own["model 2"] > 119) == (True, True, True)

        names = ["verify", "history", "prepare", "model", "between", "look_up", "model 2", "finish", "filler", "speech"]
        await expect(page.locator(".wf-row")).to_have_count(len(names))
        assert await page.locator(".wf-row").evaluate_all("all => all.map((row) => row.dataset.span)") == names
        widths = await page.locator(".waterfall > .wf-row .wf-bar").evaluate_all(
            "all => all.map((bar) => parseFloat(bar.style.width))"
        )
        assert sum(widths) == pytest.approx(100, abs=0.1), "the bars do not add up to the track"
        labels = await page.locator(".wf-label").all_text_contents()
        assert [label.split(" ")[0] for label in labels] == ["first", "answer"]

        words, data = await explained(tmp_path, turn)
        verdict = await page.locator(".verdict").text_content()
        assert verdict == data["verdict"]["text"] == chart["verdict"]["text"]
        assert f". {verdict}" in words
        assert "It was slow: a filler after" in words
        assert [{**step, "message": None} for step in data["steps"]] == [
            {**step, "message": None} for step in chart["steps"]
        ]
        assert dev.errors == []


@pytest.mark.slow
async def test_a_bar_leads_to_its_message_and_back(tmp_path: Path, browser: Browser, agents: Path) -> None:
    async with dev_page(tmp_path, browser, pace=30, agents=agents, agent="clerk") as dev:
        page = dev.page
        await waiting_turn(dev, agents)
        detail = page.locator('[data-span="model 2"] .wf-detail')
        await expect(detail).to_contain_text(re.compile(r"first token .+rest .+\d+ \+ \d+ tokens\$0"))

        await page.click('[data-span="model 2"]')
        await expect(page.locator("#tab-messages")).to_have_attribute("aria-selected", "true")
        await expect(page.locator(".message-group.found")).to_contain_text("It is 42.")
        await page.click(".message-group.found .back")
        await expect(page.locator(".wf-row.found .name")).to_have_text("model 2")

        await page.click('[data-span="look_up"]')
        found = page.locator(".message-group.found")
        await expect(found.locator(".role")).to_have_text("model calls look_up")
        await expect(found.locator(".back")).to_have_count(2)
        await found.locator(".back", has_text="look_up").click()
        await expect(page.locator(".wf-row.found .name")).to_have_text("look_up")

        await page.click('[data-span="filler"]')
        await expect(page.locator("tr.found .body")).to_contain_text("One moment.")
        await page.click("tr.found .back")
        await expect(page.locator(".wf-row.found .name")).to_have_text("filler")
        assert dev.errors == []
