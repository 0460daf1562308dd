"""A failed turn in headless Chromium: the message, the developer's own line, folded library frames, and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from pydantic_ai.models import override_allow_model_requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..serving import serve
from .dev_page import SECONDS, dev_page

pytestmark = pytest.mark.anyio

CLERK = '''
"""Clerk: looks up orders, and knows too few."""

from pydantic_ai import Agent

from layercode_app import Call, VoiceAgent

clerk = Agent(instructions="You look up orders.")
agent = VoiceAgent("clerk", clerk, greeting="Hello.")


@clerk.tool_plain
async def look_up(order: str) -> str:
    return price_of(order)


def price_of(order: str) -> str:
    raise LookupError(f"no order {order!r} in the table")


@agent.offline
async def script(scene):
    yield Call("look_up", {"order": scene.text})
'''

KEYLESS = '''
"""Keyless: its provider refuses the key."""

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import VoiceAgent

model = OpenAIChatModel("gpt-5-mini", provider=OpenAIProvider(base_url="URL/v1", api_key="test-key"))
agent = VoiceAgent("keyless", Agent(model), greeting="Hello.")
'''


async def refuse(request: Request) -> Response:
    return JSONResponse({"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}}, 401)


@pytest.mark.slow
async def test_an_own_line_is_shown_first_and_library_frames_are_folded(tmp_path: Path, browser: Browser) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "clerk.py").write_text(CLERK)
    async with dev_page(tmp_path, browser, pace=30, agents=folder, agent="clerk") as dev:
        page = dev.page
        await dev.call("clerk")
        await dev.say("A-4711")
        await dev.heard(1)
        await expect(page.locator(".failure-message")).to_have_text("no order 'A-4711' in the table", timeout=SECONDS)
        await expect(page.locator(".source .where")).to_contain_text("clerk.py:18")
        await expect(page.locator(".source-lines .here")).to_have_text(
            '    raise LookupError(f"no order {order!r} in the table")'
        )
        frames = page.locator(".failure .trace").first
        await expect(frames).to_be_hidden()
        await page.click(".failure-more > details > summary")
        own = frames.locator("> .own .where")
        await expect(own).to_have_count(2)
        await expect(frames.locator(".trace").first).to_be_hidden()
        await frames.locator("summary").first.click()
        await expect(frames.locator(".trace").first).to_be_visible()
        assert dev.errors == []


async def test_a_wrong_key_is_named_with_its_fix(tmp_path: Path, browser: Browser) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    provider = Starlette(routes=[Route("/v1/chat/completions", refuse, methods=["POST"])])
    async with serve(provider, lifespan="off") as url:
        (folder / "keyless.py").write_text(KEYLESS.replace("URL", url))
        with override_allow_model_requests(True):
            async with dev_page(tmp_path, browser, pace=30, agents=folder, agent="keyless") as dev:
                await dev.call("keyless")
                await dev.say("hello")
                await dev.heard(1)
                await expect(dev.page.locator(".failure-message")).to_have_text(
                    "Incorrect API key provided.", timeout=SECONDS
                )
                fix = "Fix The key is wrong: OPENAI_API_KEY. Put the right one into .env"
                await expect(dev.page.locator(".failure-fix")).to_contain_text(fix)
                assert dev.errors == []
