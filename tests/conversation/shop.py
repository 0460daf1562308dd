"""A shop agent whose tool runs for as long as a test wants, and functions that interrupt a turn or wait for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.journal.record import TurnRecord

from ..calling import Caller


class Orders(BaseModel):
    placed: int = 0
    tried: int = 0
    last: str = ""


class Shop:
    """An agent whose model calls a tool when the caller says "order". The tool waits until the test sets `proceed`."""

    def __init__(self, **options: Any) -> None:
        self.started = asyncio.Event()
        self.proceed = asyncio.Event()
        self.receipts: list[str] = []
        self.seen: list[list[ModelMessage]] = []
        agent = Agent(FunctionModel(stream_function=self._model), deps_type=Turn[Orders])

        @agent.tool
        async def order(ctx: RunContext[Turn[Orders]]) -> str:
            ctx.deps.state.tried += 1
            ctx.deps.state.last = "tried"
            self.started.set()
            await self.proceed.wait()
            ctx.deps.state.placed += 1
            ctx.deps.state.last = "placed"
            ctx.deps.background(receipt, to="ada")
            return "order 7 placed"

        self.voice = VoiceAgent("shop", agent, state=Orders, **options)

        @self.voice.task
        async def receipt(to: str) -> None:
            self.receipts.append(to)

    async def _model(self, messages: list[ModelMessage], info: AgentInfo) -> Any:
        self.seen.append(messages)
        last = messages[-1].parts[-1]
        if isinstance(last, UserPromptPart) and last.content == "order":
            yield "One moment. "
            yield {1: DeltaToolCall(name="order", json_args="{}", tool_call_id=f"call-{len(messages)}")}
        else:
            yield "Anything else?"

    def told(self) -> str:
        """Return the contents of all messages in the last request to the model."""
        return "\n".join(str(getattr(part, "content", "")) for message in self.seen[-1] for part in message.parts)


async def interrupt_in_the_tool(caller: Caller, shop: Shop) -> None:
    ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id}
    event = {"type": "message", "turn_id": "ordering", "text": "order", **ids}
    async with caller.client.deliver(event):
        await shop.started.wait()


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    for _ in range(300):
        if found := await condition():
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


async def ended(app: LayerCode, caller: Caller, turn_id: str) -> TurnRecord:
    async def found() -> TurnRecord | None:
        record = await app.store.get(caller.conversation_id, turn_id)
        return record if record is not None and record.finished else None

    record = await until(found)
    assert isinstance(record, TurnRecord)
    return record
