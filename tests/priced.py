"""Helpers for tests: an agent whose scripted model has a price, a webhook's inbox, and a reader of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent

from .serving import serve

MODEL = "gpt-5-mini"


async def _model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    said = str(messages[-1].parts[-1].content)  # type: ignore[union-attr]
    if "fail" in said:
        raise RuntimeError("the model is broken")
    if "book" in said and not any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
        yield "Let me see. "
        yield {1: DeltaToolCall(name="book", json_args='{"table": 4}', tool_call_id=f"call-{len(messages)}")}
        return
    for word in ("That ", "is ", "done."):
        yield word
        if "hang" in said:
            await asyncio.sleep(600)


def priced_agent(name: str = "priced", *, model: str | None = MODEL) -> VoiceAgent[Any, Any]:
    """Return an agent that answers "That is done.".

    Asked to book, it calls a tool. Asked to fail, it fails. Asked to hang, it hangs after its first word, for longer
    than any test.
    """
    agent = Agent(FunctionModel(stream_function=_model, model_name=model), deps_type=Turn)

    @agent.tool
    async def book(ctx: RunContext[Turn], table: int) -> str:
        ctx.deps.outcome("booked", value=30.0)
        return f"Table {table} is booked."

    return VoiceAgent(name, agent, greeting="Hello!")


@dataclass
class Inbox:
    """The bodies that a webhook accepted, and the statuses that it answers."""

    url: str
    bodies: list[Any] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """The statuses of the next answers; 200 when empty."""


@asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    """Serve a webhook that accepts JSON, and yield its inbox."""
    box = Inbox("")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status = box.statuses.pop(0) if box.statuses else 200
        if status == 200:
            box.bodies.append(orjson.loads(body))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serve(app, lifespan="off") as url:
        box.url = url
        yield box


async def records(app: LayerCode) -> list[Any]:
    """Return all turns in the journal of a running app."""
    return [record async for record in app.store.turns()]
