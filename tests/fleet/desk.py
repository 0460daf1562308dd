"""The agent of the fleet: it tells which messages it knows, books what is asked for, and counts for a while.

Its model is a function of the request. So its answer shows whether the request lacks a message, or has it twice.
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
    """Return the numbers at the end of the user's messages, such as 3 in `tell 3`, in the order of the messages.

    The notes on interrupted tools are left out.
    """
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
    """Record in the ledger that this tool ran. It is a single write, so lines of other processes cannot mix with it."""
    line = f"{ctx.deps.conversation_id} {ctx.deps.turn_id}\n"
    ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, line.encode())
    os.close(ledger)
    await asyncio.sleep(0.05)
    return "booked"


agent = VoiceAgent("desk", clerk)
