"""The pages that commands write, in headless Chromium: on a phone, on a desktop, and without a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect
from pyinstrument import Profiler

from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.reports.report import make_report
from layercode_app.reports.report_page import as_html as report_page
from layercode_app.testing.bench.bench_page import as_html as bench_page
from layercode_app.testing.bench.load import Load
from layercode_app.testing.bench.result import Result
from layercode_app.testing.evals.eval_page import html as eval_page
from layercode_app.testing.evals.run_scenarios import Played
from layercode_app.testing.profile.profile_page import page_of

from ..testing.eval_runs import run_with_turn
from ..testing.test_bench import series

pytestmark = pytest.mark.anyio
WIDTHS = (390, 1280)
NARROWEST = """
() => Math.min(...[...document.querySelectorAll("td:first-child")].map(cell => cell.clientWidth))
"""
TICKS = """
() => Math.min(...[...document.querySelectorAll(".tick")].filter(tick => tick.checkVisibility())
  .map(tick => tick.getBoundingClientRect().height))
"""
TALK = "caller: Two croissants, please\nagent:  Two croissants. The basket comes to 4 euros 80. Anything else?"


async def opened(page: Page, html: str, path: Path, *, width: int, scheme: Any = "light") -> list[str]:
    """Write the HTML to a file and open it. Return a list that gets the address of each network request."""
    asked: list[str] = []

    async def refuse(route: Route) -> None:
        asked.append(route.request.url)
        await route.abort()

    await page.route("http*://**", refuse)
    path.write_text(html, encoding="utf-8")
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.goto(path.as_uri())
    return asked


async def fits(page: Page) -> bool:
    """Return whether the page is no wider than the window, so that it needs no horizontal scrolling."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def report_html() -> str:
    store = MemoryStore()
    record = TurnRecord("c", "t", Kind.MESSAGE, "outdoor_shop", started_at=time.time() - 60)
    await store.begin(record, history_tokens=0)
    record.status, record.timings = Status.COMPLETE, {"ttfs": 1234.0, "ttft": 1200.0, "total": 2345.0}
    await store.save(record)
    return report_page(await make_report(store))


async def test_a_report_and_a_measurement_can_be_read_on_a_phone(tmp_path: Path, browser: Browser) -> None:
    measured = bench_page(Result(Load(callers=1, turns=1), "spread", 1, [series("a", 10, 1200)]))
    async with await browser.new_page() as page:
        for html in (await report_html(), measured):
            for width in WIDTHS:
                await opened(page, html, tmp_path / "page.html", width=width)
                assert await fits(page)
                assert await page.evaluate(NARROWEST) > 100, "names are not broken into letters"
                assert await page.evaluate(TICKS) > 9


async def test_an_evaluation_follows_the_width_and_the_colours_of_its_reader(tmp_path: Path, browser: Browser) -> None:
    played = [Played("menu", "", 1, transcript=TALK), Played("order", "", 1, failures=["not said"], transcript=TALK)]
    async with await browser.new_page() as page:
        for width in WIDTHS:
            await opened(page, eval_page(played), tmp_path / "eval.html", width=width)
            assert await fits(page)
        headings = ["Reliability", "order run 1 failed", "menu run 1 passed"]
        await expect(page.locator(".card h2")).to_have_text(headings, timeout=100_000)
        seen = []
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            seen.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert seen[0] != seen[1]


async def test_an_evaluation_shows_each_turn_and_filters_its_runs(tmp_path: Path, browser: Browser) -> None:
    bad, good = run_with_turn("A coffee, please", "turn 2: no", turns=2), run_with_turn("Two croissants")
    good.labels = ["rush hour"]
    async with await browser.new_page() as page:
        for width in WIDTHS:
            asked = await opened(page, eval_page([good, bad]), tmp_path / "eval.html", width=width)
            assert await fits(page)
            await expect(page.locator(".wf:visible")).to_have_count(2, timeout=100_000)
            bar = page.locator("#run1-turn2 .w", has_text="speech").locator("rect")
            track = page.locator("#run1-turn2 .w svg").first
            assert await bar.evaluate("bar => getComputedStyle(bar).fill") != "rgb(0, 0, 0)"
            box, around = await bar.bounding_box(), await track.bounding_box()
            assert box is not None
            assert around is not None
            # The answer begins after 700 of 900 ms.
            assert box["x"] - around["x"] == pytest.approx(around["width"] * 700 / 900, abs=2)
            await page.click(".reason a")
            await expect(page.locator("#run1-turn2")).to_be_in_viewport()
            await page.click(".run >> nth=1")
            await expect(page.locator(".wf:visible")).to_have_count(3)
            await page.check("text=rush hour")
            await expect(page.locator(".run:visible")).to_have_count(1)
            await page.check("text=failed only")
            await expect(page.locator(".run:visible")).to_have_count(0)
            await page.check("text=all")
            await expect(page.locator(".run:visible h2")).to_contain_text("A coffee, please")
            assert asked == []


@pytest.mark.slow
async def test_a_profile_opens_with_its_flame_graph_and_asks_nobody(tmp_path: Path, browser: Browser) -> None:
    profiler = Profiler(interval=0.001)
    with profiler:
        sum(n * n for n in range(2_000_000))
    async with await browser.new_page() as page:
        asked = await opened(page, page_of(profiler), tmp_path / "profile.html", width=1280)
        await expect(page.get_by_label("Timeline")).to_be_checked()
        await expect(page.locator("canvas").first).to_be_visible()
        await page.wait_for_load_state("networkidle")
        assert asked == []
        await page.get_by_label("Call stack").check()
        await page.wait_for_timeout(500)  # Chromium keeps the choice in another process, which gets it a moment later.
        await page.reload()
        await expect(page.get_by_label("Call stack")).to_be_checked()
