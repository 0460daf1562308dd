"""The colours of the dev page and of the pages that commands write: one set, with enough contrast, in light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from layercode_app.testing.bench.bench_page import as_html as bench_page
from layercode_app.testing.bench.load import Load
from layercode_app.testing.bench.result import Result
from layercode_app.testing.evals.eval_page import html as eval_page
from layercode_app.testing.evals.run_scenarios import Played

from ..testing.eval_runs import run_with_turn
from ..testing.test_bench import series
from .dev_page import SECONDS, dev_page
from .test_pages import opened, report_html

pytestmark = pytest.mark.anyio
SCHEMES: list[Any] = ["light", "dark"]

PALE = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
  const ground = (element) => {
    if (!element) return rgba(getComputedStyle(document.documentElement).colorScheme === "dark" ? "#000" : "#fff").slice(0, 3);
    const colour = rgba(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, ground(element.parentElement));
  };
  const opacity = (element) => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  const check = (element, colour, text) => {
    const style = getComputedStyle(element), below = ground(element);
    const ink = rgba(colour); ink[3] *= opacity(element);
    const [bright, dim] = [light(over(ink, below)), light(below)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
    const ratio = (bright + 0.05) / (dim + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.className || element.tagName}: ${text.slice(0, 40)}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility({ visibilityProperty: true }) || element.closest("svg, script, style, noscript")) continue;
    check(element, getComputedStyle(element).color, text);
  }
  for (const field of document.querySelectorAll("[placeholder]")) {
    if (field.checkVisibility()) check(field, getComputedStyle(field, "::placeholder").color, field.placeholder);
  }
  return found;
}
"""
GROUND = "getComputedStyle(document.body).backgroundColor"


async def pale(page: Page) -> list[str]:
    """The texts with too little contrast, in both schemes."""
    found: list[str] = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"{scheme} {line}" for line in await page.evaluate(PALE)]
    return found


@pytest.mark.slow
async def test_every_text_of_the_dev_page_can_be_read(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser, pace=2) as dev:
        page = dev.page
        dev.app.emulator.faults.latency_ms = 10
        await page.goto(dev.app.url)
        await expect(page.locator(".agent-card")).not_to_have_count(0)
        await page.click("text=Who is calling?")
        assert await pale(page) == []
        await page.click('[data-agent="shop"]')
        await dev.heard(0)
        await dev.say("tell me a story")
        await expect(dev.turn(1).locator(".heard")).to_have_text(re.compile(r"(\S+ ){3}"), timeout=SECONDS)
        assert await pale(page) == []
        await page.keyboard.press("Escape")
        await dev.say("boom")
        await dev.heard(2)
        await page.click("#hang-up")
        await expect(page.locator("text=Continue this call")).to_be_visible()
        await expect(page.locator(".call .badge.failed")).to_have_text("1 failed")
        assert await pale(page) == []


async def test_all_pages_have_the_colours_of_the_dev_page(tmp_path: Path, browser: Browser) -> None:
    async with dev_page(tmp_path, browser) as dev:
        page = dev.page
        await page.goto(dev.app.url)
        grounds = []
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            grounds.append(await page.evaluate(GROUND))
        assert len(set(grounds)) == 2
        played = [Played("menu", "", 1, transcript="caller: hello"), Played("order", "", 1, failures=["not said"])]
        played.append(run_with_turn("A coffee, please", "turn 1: expected to hear 'tea'"))
        measured = bench_page(Result(Load(callers=1, turns=1), "spread", 1, [series("a", 10, 1200)]))
        for place, html in enumerate((await report_html(), eval_page(played), measured)):
            await opened(page, html, tmp_path / f"{place}.html", width=1000)
            for scheme, ground in zip(SCHEMES, grounds, strict=True):
                await page.emulate_media(color_scheme=scheme)
                assert await page.evaluate(GROUND) == ground
            assert await pale(page) == []
