"""Take the screenshots of the documentation site for `make screenshots`.

Fails if a page loads anything from another host, or if the end of a line of code is hidden on a computer's screen.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, Request, expect

from ..e2e.browser import chromium

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SHOTS = {
    "home": ("index.html", "light", WIDE),
    "home-dark": ("index.html", "dark", WIDE),
    "home-phone": ("index.html", "light", PHONE),
    "tutorial": ("tutorial/2-tools-and-state.html", "light", WIDE),
    "tutorial-phone": ("tutorial/2-tools-and-state.html", "dark", PHONE),
    "reference": ("reference/commands.html", "light", WIDE),
    "reference-phone": ("reference/settings.html", "light", PHONE),
    "explanation-dark": ("explanation/a-turn.html", "dark", WIDE),
}
"""The page, the colour scheme and the size of each picture."""


@asynccontextmanager
async def opened(browser: Browser, address: str, scheme: str, size: dict[str, int]) -> AsyncIterator[Page]:
    """Open a page of the site. Fails if the page loads anything from another host."""
    context = await browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    elsewhere: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            elsewhere.append(request.url)

    context.on("request", note)
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_load_state("load")
    yield page
    await context.close()
    assert elsewhere == [], f"{address} loads from elsewhere: {elsewhere}"


CUT = "() => [...document.querySelectorAll('pre > code')].filter(c => c.scrollWidth > c.clientWidth + 1).map(c => c.innerText)"


async def no_code_is_cut(browser: Browser, site: Path) -> None:
    page = await browser.new_page(viewport=WIDE)  # type: ignore[arg-type]
    for path in sorted(site.rglob("*.html")):
        await page.goto(path.resolve().as_uri())
        assert await page.evaluate(CUT) == [], path
    await page.close()


async def search(page: Page, words: str) -> None:
    """Search the site, as a reader does."""
    await page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search")
    async with asyncio.timeout(30):
        # The page drops words that are typed before the index is loaded.
        while await box.input_value() != words or not await page.get_by_role("option").count():
            await box.fill(words)
            await asyncio.sleep(0.2)
    await expect(page.get_by_role("option").first.locator("mark").first).to_have_text(words, ignore_case=True)


async def main(site: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        await no_code_is_cut(browser, site)
        for name, (place, scheme, size) in SHOTS.items():
            async with opened(browser, (site / place).resolve().as_uri(), scheme, size) as page:
                await _keep(page, folder / f"{name}.png")
        for name, scheme, size in (("search", "light", WIDE), ("search-phone", "dark", PHONE)):
            async with opened(browser, (site / "index.html").resolve().as_uri(), scheme, size) as page:
                await search(page, "hedge")
                await _keep(page, folder / f"{name}.png")


async def _keep(page: Page, path: Path) -> None:
    """Write a screenshot of the page with 128 colours, because the file is then a third as large."""
    from PIL import Image

    picture = Image.open(io.BytesIO(await page.screenshot(animations="disabled"))).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
