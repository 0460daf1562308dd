"""Hold a conversation with a shipped agent, offline and through real signed HTTP, and read what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercode_app import LayerCode, TurnRecord
from layercode_app.agent.discovery import discover
from layercode_app.agent.shipped import BUILT_IN

from ..calling import Caller, Reply, calling, settings

AGENTS = next(folder for folder in BUILT_IN if folder.is_dir())
"""The shipped agents: those of the checkout, or of the wheel that is under test."""


@dataclass
class Conversation:
    """A call to one agent."""

    caller: Caller
    app: LayerCode

    async def greeting(self, **more: Any) -> Reply:
        return await self.caller.send({"type": "session.start", "turn_id": "greeting", **more})

    async def say(self, text: str, **more: Any) -> Reply:
        reply = await self.caller.say(text, **more)
        assert reply.status == 200
        assert reply.types.count("response.end") == 1
        assert reply.types[-1] == "response.end"
        return reply

    async def turns(self) -> list[TurnRecord]:
        return list(await self.app.store.history(self.caller.conversation_id, tokens=1_000_000))

    async def tools(self) -> list[str]:
        """Return the name and the final status of each tool call, in order."""
        return [f"{call.name} {call.status}" for turn in await self.turns() for call in turn.tools]

    async def outcomes(self) -> list[Any]:
        return [outcome for turn in await self.turns() for outcome in turn.outcomes]


def sent(reply: Reply) -> list[Any]:
    """The data frames of a reply."""
    return [frame.content for frame in reply.frames if frame.type == "response.data"]


@asynccontextmanager
async def talking(name: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    found = discover(AGENTS)
    others = [
        voice for other, voice in found.agents.items() if other != name and found.files[other] == found.files[name]
    ]
    app = LayerCode(found.get(name), *others, settings=settings(tmp_path), model="offline")
    async with calling(app, agent=name) as caller:
        yield Conversation(caller, app)
