"""The dev page says what a reload did: why it was refused, and which agents are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from pydantic import SecretStr

from layercode_app.dev.reload import watching
from layercode_app.dev.serve import DevOptions, reload

from ..dev.test_reload import write
from .dev_page import SECONDS, dev_page

pytestmark = pytest.mark.anyio
FINE = "Everything runs on this machine."
REFUSED = "The agents were not reloaded."


async def test_wrong_settings_are_shown_until_a_reload_succeeds(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, toml = tmp_path / "agents", tmp_path / "layercode.toml"
    write(folder, "word", "before")
    async with dev_page(tmp_path, browser, pace=100, agents=folder, agent="word") as dev:
        note, app = dev.page.locator(".status-note > span"), dev.app
        async with watching(app.watched, lambda: reload(app, DevOptions())):
            await dev.call("word")
            await expect(note).to_have_text(FINE)
            toml.write_text("[[alerts\n")
            await expect(note).to_have_text(REFUSED, timeout=SECONDS)
            await dev.page.reload()
            await expect(note).to_have_text(REFUSED)
            await dev.page.click("#problems-button")
            await expect(dev.page.locator("#problems")).to_contain_text(
                "The settings in layercode.toml could not be read"
            )
            write(folder, "word", "after")
            toml.write_text("history_tokens = 99\n")
            await expect(note).to_have_text(FINE, timeout=SECONDS)
            assert app.layercode.turns.limits.history_tokens == 99
            await dev.page.click("text=Continue this call")
            await dev.heard(1)
            await dev.say("well?")
            await expect(dev.turn(2).locator(".heard")).to_have_text("after")


async def test_an_agent_that_is_gone_is_named_with_advice_that_exists(tmp_path: Path, browser: Browser) -> None:
    folder = tmp_path / "agents"
    for name in ("word", "other"):
        write(folder, name, "here")
    async with dev_page(tmp_path, browser, pace=100, agents=folder, agent="word") as dev:
        toast, app = dev.page.locator(".toast"), dev.app
        await dev.call("other")
        (folder / "other.py").write_text("import os\n")
        app.reload(app.layercode.settings)
        await expect(toast).to_have_text("No agent file has the agent other any more.")
        await dev.say("well?")
        await expect(toast).to_contain_text("the backend answered 404")
        await expect(toast).to_contain_text("start a new call with another agent")
        await expect(toast).not_to_contain_text("--webhook")
        app.reload(app.layercode.settings)
        await expect(toast).to_have_text("Agents reloaded.")


async def test_a_secret_that_changed_during_a_call_is_named(tmp_path: Path, browser: Browser) -> None:
    folder = tmp_path / "agents"
    write(folder, "word", "here")
    async with dev_page(tmp_path, browser, pace=100, agents=folder, agent="word") as dev:
        await dev.call("word")
        dev.app.reload(dev.app.layercode.settings.model_copy(update={"webhook_secret": (SecretStr("another-secret"),)}))
        await dev.say("well?")
        toast = dev.page.locator(".toast")
        await expect(toast).to_contain_text("the backend answered 401")
        await expect(toast).to_contain_text("start a new call")
        await expect(toast).not_to_contain_text("--secret")
