"""Each page that is written or served, filled with hostile texts, runs no script and loads nothing from other hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Route, expect
from pyinstrument import Profiler
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from layercode_app.emulator.playground.export import export_page
from layercode_app.journal.open import open_journal
from layercode_app.journal.read import turns_of
from layercode_app.journal.stores.base import Store
from layercode_app.reports.report import make_report
from layercode_app.reports.report_page import as_html as report_page
from layercode_app.testing.bench.bench_page import as_html as bench_page
from layercode_app.testing.bench.load import Load
from layercode_app.testing.bench.result import Result
from layercode_app.testing.evals.eval_page import html as eval_page
from layercode_app.testing.evals.run_scenarios import Played
from layercode_app.testing.profile.profile_page import page_of

from ..dev.serving import dev_server
from ..hostile import ALL, CALLS, HALF, SCRIPT, acting, record
from ..scaffold.test_projects import project
from ..serving import serve
from ..testing.eval_runs import run_with_turn
from ..testing.test_bench import series

pytestmark = pytest.mark.anyio
HANDLERS = (
    "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on')).length"
)
POLICY = "document.querySelector('meta[http-equiv=Content-Security-Policy]')?.content ?? ''"
INJECT = f"""() => {{
  const inline = document.createElement("script");
  inline.textContent = "{SCRIPT}";
  document.body.append(inline);
  const image = document.createElement("div");
  image.innerHTML = '<img src="x:" onerror="{SCRIPT}"><a id="evil" href="javascript:{SCRIPT}">x</a>';
  document.body.append(image);
  document.querySelector("#evil").click();
  return new Promise((done) => setTimeout(() => {{ inline.remove(); image.remove(); done(globalThis.hacked ?? 0); }}, 50));
}}"""
"""Adds scripts to a page. The page's policy must block them, as if a hostile text had become an element."""


@dataclass
class Watched:
    """A page, the addresses that it requested, and the errors that it reported."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def open(self, html: str, path: Path) -> None:
        """Write the page to a file, and open the file."""
        path.write_text(html, encoding="utf-8")
        assert acting(html) == []
        await self.page.goto(path.as_uri())

    async def is_harmless(self, *, served: bool = False) -> None:
        """Fail if a script ran or could run, a control character is shown, or another host was asked for anything."""
        assert await self.page.evaluate("globalThis.hacked ?? 0") == 0
        assert await self.page.evaluate(HANDLERS) == 0
        assert acting(await self.page.evaluate("document.body.innerText")) == []
        if not served:
            policy = await self.page.evaluate(POLICY)
            assert "default-src 'none'" in policy
            assert "unsafe-inline" not in policy.replace("style-src-attr 'unsafe-inline'", "")
        assert await self.page.evaluate(INJECT) == 0
        assert {urlsplit(url).hostname for url in self.asked} <= {None, "", "127.0.0.1"}


@pytest.fixture
async def view(browser: Browser) -> AsyncIterator[Watched]:
    async with await browser.new_page(viewport={"width": 1400, "height": 900}) as page:
        yield await watched(page)


async def watched(page: Page) -> Watched:
    found = Watched(page)

    async def look(route: Route) -> None:
        found.asked.append(route.request.url)
        await (route.abort() if urlsplit(route.request.url).hostname == "evil.example" else route.continue_())

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.complaints.append(message.text)

    await page.route("**", look)
    page.on("console", note)
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    return found


async def written(store: Store) -> dict[str, str]:
    """Return the HTML of every page that a command can write. The keys are names that describe the pages."""
    pages = {
        f"report by {by}": report_page(await make_report(store, by=by)) for by in ("conversation", "tool", "model")
    }
    for call in (*CALLS.values(), "old", "odd"):
        turns = await turns_of(store, call, bodies=True)
        pages |= {
            f"export of {call[:8]}, {kind}": export_page(turns, redacted=kind == "masked")
            for kind in ("masked", "whole")
        }
    played = [Played(text, text, 1, failures=[text], transcript=text) for text in (ALL, HALF)]
    played += [run_with_turn(text, f"turn 1: {text}") for text in (ALL, HALF)]
    one = series("a", 10, 1200)
    one.target = ALL
    measured = Result(Load(callers=1, turns=1), "spread", 1, [one])
    return pages | {"eval": eval_page(played), "bench": bench_page(measured)}


@pytest.mark.slow
async def test_written_pages_run_nothing_of_a_stranger(tmp_path: Path, view: Watched) -> None:
    async with open_journal(await record(tmp_path)) as store:
        for name, html in (await written(store)).items():
            await view.open(html, tmp_path / "page.html")
            await view.is_harmless()
            text = await view.page.evaluate("document.documentElement.innerText")
            assert "FORGED" in text or "half" in text or name == "report by model", name


async def test_a_profile_draws_its_graph_and_runs_nothing_else(tmp_path: Path, view: Watched) -> None:
    profiler = Profiler(interval=0.001)
    profiler.start(target_description=f"</script><script>{SCRIPT}</script>")
    exec(
        compile("def f():\n sum(n * n for n in range(300000))\nf()", f"</script><script>{SCRIPT}</script>.py", "exec"),
        {},
    )
    profiler.stop()
    await view.open(page_of(profiler), tmp_path / "profile.html")
    await expect(view.page.locator("canvas").first).to_be_visible()
    await view.is_harmless()


@pytest.mark.slow
async def test_the_dev_page_runs_nothing_of_a_stranger(tmp_path: Path, view: Watched) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "hostile.py").write_text(
        f"{ALL.splitlines()[0]!a}\nfrom tests.hostile import hostile_agent\nagent = hostile_agent()\n"
    )
    url = await record(tmp_path)
    async with dev_server(tmp_path, agents=agents, agent="hostile", store=url) as app:
        answer = await view.page.goto(app.url)
        assert answer is not None
        policy = (await answer.all_headers())["content-security-policy"]
        assert "unsafe" not in policy
        await expect(view.page.locator(".call")).to_have_count(4)
        for number in range(4):
            await view.page.locator(".call").nth(number).click()
            exchanges = view.page.locator(".exchange")
            await expect(exchanges.first).to_be_visible()
            for turn in range(await exchanges.count()):
                await exchanges.nth(turn).click()
                for tab in ("messages", "frames", "event", "logs", "fork", "time"):
                    await view.page.click(f"#tab-{tab}")
            await view.is_harmless(served=True)
        await view.page.goto(f"{app.url}/#%")
        await view.page.reload()
        await expect(view.page.locator("body")).to_have_attribute("data-ready", "true")
        await view.is_harmless(served=True)
        assert [text for text in view.complaints if not _is_about_policy(text) and "404" not in text] == []


def _is_about_policy(text: str) -> bool:
    """Return whether Chromium's error is about `INJECT`: the policy blocked it, or its image has an unknown scheme."""
    return "Content Security Policy" in text or "ERR_UNKNOWN_URL_SCHEME" in text


@pytest.mark.slow
async def test_a_projects_page_takes_no_handler_from_its_address(tmp_path: Path, view: Watched) -> None:
    web = project(tmp_path / "my-shop", "echo", ("web",)) / "web"
    (web / "vendor").mkdir()
    (web / "vendor/layercode-js-sdk.esm.js").write_text("export default class {}")
    async with serve(Starlette(routes=[Mount("/", StaticFiles(directory=web, html=True))])) as site:
        await view.page.goto(f"{site}/?onclick={SCRIPT}&onpointerenter={SCRIPT}&style=color:red&agent-id=own")
        voice = view.page.locator("layercode-voice")
        await expect(voice.locator("#connect")).to_be_visible()
        await voice.click()
        await expect(voice).to_have_attribute("agent-id", "own")
        assert await voice.get_attribute("onclick") is None
        await view.is_harmless()
        shown = "getComputedStyle(document.querySelector('layercode-voice').shadowRoot.querySelector('section')).borderRadius"
        assert await view.page.evaluate(shown) == "12px"
    assert [text for text in view.complaints if not _is_about_policy(text) and "404" not in text] == []
