"""Some hosts that mount an app do not run the app's lifespan. In such a host, the app starts within the first request.

The app keeps nothing of the context of that request. If the host does run the lifespan, the app starts in the host's
context.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_ai import Agent
from pydantic_ai.toolsets import FunctionToolset

from layercode_app import LayerCode, SessionEnd, Turn, VoiceAgent
from layercode_app.webhook import HEADER, sign

from ..calling import SECRET, settings
from ..serving import serve
from ..waiting import until

pytestmark = pytest.mark.anyio

caller: ContextVar[str] = ContextVar("caller", default="")


async def test_the_jobs_of_later_callers_do_not_run_in_the_first_callers_context(tmp_path: Path) -> None:
    agent, seen = VoiceAgent("host"), []

    @agent.on_message
    async def answer(turn: Turn) -> str:
        seen.append((turn.conversation_id, caller.get()))
        return "Hello."

    @agent.on_session_end
    async def end(event: SessionEnd) -> None:
        seen.append((f"end of {event.conversation_id}", caller.get()))

    app = LayerCode(agent, settings=settings(tmp_path))

    async def send(name: str, event: dict[str, Any]) -> None:
        caller.set(name)
        body = json.dumps({**event, "session_id": "s", "conversation_id": name}).encode()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://host") as client:
            answer = await client.post("/api/agent", content=body, headers={HEADER: sign(body, SECRET)})
        assert answer.status_code == 200

    for name in ("ann", "bob"):
        for event in ({"type": "message", "text": "x", "turn_id": "t"}, {"type": "session.end", "transcript": []}):
            await asyncio.create_task(send(name, event))
    await until(lambda: len(seen) == 4)
    await app.stop()
    assert dict(seen) == {"ann": "ann", "end of ann": "", "bob": "bob", "end of bob": ""}


async def test_a_toolset_that_the_lifespan_opens_sees_the_variables_of_the_host(tmp_path: Path) -> None:
    seen = []

    class Toolset(FunctionToolset[Any]):
        async def __aenter__(self) -> Any:
            seen.append(caller.get())
            return await super().__aenter__()

    voice = VoiceAgent("host", Agent("test", toolsets=[Toolset()]))
    app = LayerCode(voice, settings=settings(tmp_path), model="offline")
    caller.set("host")
    async with serve(app):
        pass
    assert seen == ["host"]
