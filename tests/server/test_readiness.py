"""`/ready` says whether turns can be answered. With `?journal=optional`, it also accepts an outage of the journal.

A load balancer that requests `/ready?journal=optional` still sends turns in an outage, so callers hear the apology.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.settings.limits import Limits

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio

OPTIONAL = "/ready?journal=optional"


def app(folder: Path) -> LayerCode:
    voice = VoiceAgent("clerk")

    @voice.on_message
    async def answer(turn: Turn) -> str:
        return "Hello."

    return LayerCode(voice, settings=settings(folder))


async def ready(caller: Caller, path: str) -> tuple[int, str, Any]:
    """Return the status code, the overall status and the report on the journal."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(caller.client.url.join(path))
    return answer.status_code, answer.json()["status"], answer.json()["components"]["journal"]


async def test_a_server_whose_journal_went_down_is_ready_to_say_the_apology(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite3"
    async with calling(app(tmp_path)) as caller:
        assert await ready(caller, OPTIONAL) == await ready(caller, "/ready")
        journal.rename(tmp_path / "moved")
        assert (await ready(caller, "/ready"))[:2] == (503, "down")
        status, overall, told = await ready(caller, OPTIONAL)
        assert (status, overall, told["status"]) == (200, "degraded", "degraded")
        assert "moved" in told["reason"]
        assert (await caller.say("hello")).spoken == Limits().apology
        (tmp_path / "moved").rename(journal)
        assert (await ready(caller, OPTIONAL))[:2] == (200, "ok")


async def test_a_server_that_has_never_reached_its_journal_is_not_ready(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.touch()
    async with calling(app(folder)) as caller:
        assert (await ready(caller, OPTIONAL))[:2] == (503, "down")
        folder.unlink()
        async with asyncio.timeout(100):
            while (await ready(caller, OPTIONAL))[0] != 200:
                await asyncio.sleep(0.05)


async def test_a_draining_server_is_not_ready(tmp_path: Path) -> None:
    served = app(tmp_path)
    async with calling(served) as caller:
        await served.drain()
        assert (await ready(caller, OPTIONAL))[:2] == (503, "down")
