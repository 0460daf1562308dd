"""The dev page's list of calls has a search, filters, days and percentiles. An earlier call is shown with a header."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from layercode_app.journal.record import DATA, Frame, Kind, Speech, Status, TurnRecord
from layercode_app.journal.stores.base import Store

from .dev_page import dev_page

pytestmark = pytest.mark.anyio
NOON = time.mktime(time.strptime(time.strftime("%Y-%m-%d 12"), "%Y-%m-%d %H"))
DAY = 86_400.0
LONG = "a_very_long_agent_name_that_has_no_space_in_it_and_goes_on_for_a_while"


async def record(store: Store, call: str, text: str, reply: str = "Fine.", *, at: float = NOON, **values: Any) -> None:
    """Put a finished turn into the journal."""
    fields: dict[str, Any] = {"status": Status.COMPLETE, "timings": {"ttfs": 300.0}, "ended_at": at + 2, **values}
    agent = fields.pop("agent", "shop")
    turn = TurnRecord(call, f"{call}-{text}", Kind.MESSAGE, agent, user_text=text, session_id=call, started_at=at)
    await store.begin(turn, history_tokens=0)
    turn.speech = [Speech("model", 0, reply)] if reply else []
    for name, value in fields.items():
        setattr(turn, name, value)
    await store.save(turn)


@pytest.mark.slow
async def test_calls_are_found_filtered_and_grouped(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser) as dev:
        page, store = dev.page, dev.app.layercode.store
        await record(store, "old", "a wedding cake", at=NOON - 40 * DAY)
        await record(store, "yesterday", "the bill please", "Of course.", at=NOON - DAY, agent=LONG)
        await record(store, "failed", "boom", "Sorry.", status=Status.FAILED, error_category="agent", error="E")
        await record(store, "silent", "are you there", "", timings={})
        await record(store, "slow", "think hard", timings={"ttfs": 2400.0})
        await record(store, "cut", "tell me everything", "One. Two.", status=Status.SUPERSEDED, heard_text="One.")
        await page.goto(dev.app.url)
        calls = page.locator(".call")
        await expect(calls).to_have_count(6)
        days = await page.locator(".day h3").all_text_contents()
        assert days[:2] == ["today", "yesterday"]
        assert len(days) == 3
        await expect(page.locator(".ladder")).to_have_count(0)
        await expect(page.locator(".latency")).to_contain_text("3 turns so far. Percentiles appear after 5")

        # Filter the list by the kind of call, by the agent, and by words of the conversation.
        for kind in ("failed", "silent", "slow", "interrupted"):
            await page.select_option("#call-kind", kind)
            await expect(calls).to_have_count(1)
            await expect(calls.locator(".badge")).to_have_text(f"1 {kind}")
        await page.select_option("#call-kind", "")
        await page.select_option("#call-agent", LONG)
        await expect(calls).to_have_count(1)
        assert await page.evaluate(
            "() => { const c = document.querySelector('.calls'); return c.scrollWidth <= c.clientWidth }"
        )
        await page.select_option("#call-agent", "")
        await page.fill("#call-search", "OF COURSE")
        await expect(calls).to_have_count(1)
        await expect(calls.locator(".title")).to_have_text("the bill please")
        await page.fill("#call-search", "no such words")
        await page.click("#clear-filters")
        await expect(calls).to_have_count(6)

        # The list may change while a word is typed, and the field keeps focus and text.
        await page.fill("#call-search", "cake")
        await expect(calls).to_have_count(1)
        await record(store, "new", "another cake", timings={"ttfs": 1200.0})
        await record(store, "fifth", "hello")
        dev.app.emulator.feed.publish({"kind": "journal"})
        await expect(calls).to_have_count(2)
        await expect(page.locator("#call-search")).to_be_focused()
        # Five turns are enough for the median, but not for other percentiles. The unit is in the heading.
        await expect(page.locator(".ladder dt")).to_have_text(["p50"])
        await expect(page.locator(".ladder dd")).to_have_text(["300"])
        await expect(page.locator(".latency h2")).to_have_text("Time to first speech in ms")
        for place in range(5):
            await record(store, f"more-{place}", "slow again", timings={"ttfs": 1234.0})
        dev.app.emulator.feed.publish({"kind": "journal"})
        await expect(page.locator(".ladder dt")).to_have_text(["p50", "p90"])
        await expect(page.locator(".ladder dd")).to_have_text(["1.23", "1.35"])
        await expect(page.locator(".latency h2")).to_have_text("Time to first speech in seconds")
        assert dev.errors == []


async def test_a_past_call_has_a_header_and_keeps_its_chips(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser) as dev:
        page, store = dev.page, dev.app.layercode.store
        data = [Frame(DATA, {"basket": 1}, 5.0)]
        spent: dict[str, Any] = {
            "usage": {"requests": 1, "input_tokens": 9, "output_tokens": 9},
            "cost": 0.05,
            "model": "gpt-5",
        }
        await record(store, "past", "one", fingerprint="0ld", at=NOON - DAY, frames=data, **spent)
        await record(store, "past", "two", fingerprint="0ld", at=NOON - DAY + 70, status=Status.SUPERSEDED)
        await page.goto(f"{dev.app.url}/#past")
        head = page.locator("#call-head")
        await expect(head.locator("h2")).to_have_text("shop")
        await expect(head.locator("dd")).to_have_text(["0ld (older)", "yesterday, 12:00", "1 min 12 s", "2", "$0.05"])
        await expect(dev.turn(0).locator(".chip")).to_have_text("data basket")
        await expect(dev.turn(1).locator(".badge")).to_have_text("interrupted")
        await expect(page.locator("#composer")).to_be_hidden()
        assert dev.errors == []
