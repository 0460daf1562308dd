"""One conversation of a voice agent with a strict model server, without the HTTP of the webhook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.models import Model

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.stores.base import Store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.settings.limits import Limits

from ..conversation.world import Ear
from ..serving import serve
from ..waiting import until
from . import Line, StrictModel

Tool = Callable[[Turn[Any, Any], int], Awaitable[str]]


async def bumped(turn: Turn[Any, Any], by: int) -> str:
    return f"bumped by {by}"


class Talk:
    """A caller who says things to the agent, and who can read what the agent's model was sent."""

    def __init__(self, server: StrictModel, voice: VoiceAgent[Any, Any], store: Store, turns: int = 1) -> None:
        self.server = server
        self.store = store
        self.voice = voice
        self.handler = TurnHandler(store, limits=Limits())
        self.turn = turns
        """The number of the next turn."""

    def begin(self, text: str, ear: Ear, **more: Any) -> asyncio.Task[None]:
        """Deliver a message."""
        ids = {"session_id": "s", "conversation_id": "c", "turn_id": f"turn-{self.turn}"}
        self.turn += "turn_id" not in more
        event = Message.model_validate(ids | {"text": text} | more)
        answer = self.handler.admit(AgentRunner(self.voice), event, ear.listener, received=time.perf_counter())
        return asyncio.ensure_future(answer)

    async def say(self, text: str, **more: Any) -> str:
        """Deliver a message, and return the whole spoken answer."""
        ear = Ear()
        await self.begin(text, ear, **more)
        return ear.spoken

    @property
    def lines(self) -> list[Line]:
        """What the model read in its last request."""
        return self.server.asked[-1].lines

    def said(self, role: str) -> str:
        """Return the texts with this role in the model's last request, joined with spaces."""
        return " ".join(line.text for line in self.lines if line.role == role)


def strict_agent(model: Model, tool: Tool = bumped, **options: Any) -> VoiceAgent[Any, Any]:
    """Return an agent whose tool `bump` calls the function `tool`."""
    agent = Agent(model, deps_type=Turn, instructions="Be kind.")

    @agent.tool
    async def bump(ctx: RunContext[Turn], by: int = 1) -> str:
        return await tool(ctx.deps, by)

    return VoiceAgent("strict", agent, **options)


@asynccontextmanager
async def talking(
    server: StrictModel, make: Callable[[Model], VoiceAgent[Any, Any]] | None = None, **options: Any
) -> AsyncIterator[Talk]:
    """Open a conversation over a journal in memory, with an agent that uses the server's model.

    If `make` is given, it makes the agent from the model. Otherwise `strict_agent` makes it.
    """
    async with serve(server.app) as url, server.model(url) as model:
        store = MemoryStore()
        await store.open()
        talk = Talk(server, make(model) if make else strict_agent(model, **options), store)
        yield talk
        await talk.handler.drain()


async def interrupt(talk: Talk, text: str, when: Callable[[Ear], object], **more: Any) -> str:
    """Say something, and disconnect as soon as `when` returns something true. Return what was heard until then."""
    ear = Ear()
    turn = talk.begin(text, ear, **more)
    await until(lambda: when(ear))
    ear.listener.leave()
    await turn
    return ear.spoken
