"""Headless Chromium, driven through Playwright."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from ..support import need_program

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser of this machine; skips the test (fails it in CI) without."""
    path = need_program("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class ClientPage:
    """A page with the official client, and what the client reported."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._seen = 0
        self.at = 0.0
        """When the last report came, in the page's milliseconds."""

    async def until(self, kind: str, **fields: Any) -> Any:
        """The next report of that kind whose content has these fields, or is this `value`; reports before it are over."""
        seen: list[Any] = []
        try:
            async with asyncio.timeout(30):
                while True:
                    seen = await self.page.evaluate("log")
                    for index, entry in enumerate(seen[self._seen :], self._seen):
                        if entry["kind"] == kind and _fits(entry["what"], fields):
                            self._seen, self.at = index + 1, entry["at"]
                            return entry["what"]
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"no {kind} {fields} in {seen[self._seen :]}") from None

    async def client(self, call: str) -> None:
        """Call a method of the client."""
        await self.page.evaluate(f"client.{call}")


def _fits(what: Any, fields: dict[str, Any]) -> bool:
    if "value" in fields:
        return bool(what == fields["value"])
    return all(isinstance(what, dict) and what.get(name) == value for name, value in fields.items())
