"""Headless Chromium, driven through Playwright: one browser for all tests of a worker, and a context for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal
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
    # A microphone that beeps, for the contexts that may use one. Chromium does not ask for permission to use it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


def program() -> str:
    """Return the browser's path. Headless Chromium is preferred, because a page needs a third less CPU time in it."""
    return need_program(
        "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
    )


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the Chromium of this machine. If none is installed, the test fails in CI, and is skipped elsewhere."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@contextmanager
def shared_chromium() -> Iterator[str]:
    """Launch a browser that outlives the event loops of tests. Yield the address that Playwright connects to.

    It runs in a thread with its own loop. An async fixture with session scope would instead force one loop, one task
    and the context variables of this task on all later tests.
    """
    program()  # A skip must be raised in the test's own thread.
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_bound()) as address:
        yield address


@asynccontextmanager
async def _bound() -> AsyncIterator[str]:
    async with chromium() as browser:
        bound = await browser.bind("tests", host="127.0.0.1", port=0)
        yield bound["endpoint"]


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Browser]:
    """Connect to a shared browser. Fails if a test leaves a context open, because the next test could see it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect(address)
        try:
            yield browser
            assert browser.contexts == [], "a test left its context open"
        finally:
            await browser.close()


class ClientPage:
    """A page with the official client, and what the client reported."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._seen = 0
        self.at = 0.0
        """When the last report came, in milliseconds since the page was opened."""

    async def until(self, kind: str, **fields: Any) -> Any:
        """Wait for the next report of this kind that has these fields, and return its content.

        Reports before it are skipped. With `value`, the whole content must equal that value.
        """
        seen: list[Any] = []
        try:
            async with asyncio.timeout(100):
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
