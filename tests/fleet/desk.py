"""The agent of the fleet: it tells which messages it knows, books what is asked for, and counts for a while.

Its model is a function of the request, so a message that is missing or there twice shows in what it says.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Turn, VoiceAgent

WORDS = ("one ", "two ", "three ", "four ", "five. ")


def known(messages: list[ModelMessage]) -> str:
    """The numbers of the user's messages, in order, without the notes on interrupted tools."""
    users = [str(part.content) for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return ",".join(text.split()[-1] for text in users if text.startswith(("tell", "book")))


async def answer(messages: list[ModelMessage], info: AgentInfo) -> Any:
    last = messages[-1].parts[-1]
    if isinstance(last, UserPromptPart):
        yield f"I know {known(messages)}. "
    if isinstance(last, UserPromptPart) and str(last.content).startswith("book"):
        yield {1: DeltaToolCall(name="book", json_args="{}", tool_call_id=f"call-{len(messages)}")}
        return
    if isinstance(last, ToolReturnPart):
        yield f"It is {last.content}. "
    for word in WORDS:
        await asyncio.sleep(0.02)
        yield word


clerk = Agent(FunctionModel(stream_function=answer), deps_type=Turn)


@clerk.tool
async def book(ctx: RunContext[Turn]) -> str:
    """Write down that it ran: one write, which other processes cannot come between."""
    line = f"{ctx.deps.conversation_id} {ctx.deps.turn_id}\n"
    ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, line.encode())
    os.close(ledger)
    await asyncio.sleep(0.05)
    return "booked"


agent = VoiceAgent("desk", clerk)
