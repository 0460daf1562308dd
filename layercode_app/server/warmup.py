"""A turn nobody hears, before the first caller: imports, validators and the price table are paid for at the start."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

SECONDS = 10.0
"""Over this the server starts cold."""


def warm_up() -> None:
    """Play one turn through PydanticAI with a model of one word; no span, no log line, no request to anybody."""
    # In a thread, because a worker's loop may be running already.
    thread = threading.Thread(target=_play, name="warm-up", daemon=True)
    thread.start()
    thread.join(SECONDS)


def _play() -> None:
    # A cold start is slow, and nothing worse.
    with suppress(Exception):
        asyncio.run(_turn())
    with suppress(Exception):
        _load_prices()


async def _turn() -> None:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessagesTypeAdapter
    from pydantic_ai.models.function import DeltaToolCall, FunctionModel

    async def words(messages: list[Any], info: Any) -> AsyncIterator[Any]:
        if len(messages) == 1:
            yield {0: DeltaToolCall(name="nothing", json_args="{}", tool_call_id="warm-up")}
        else:
            yield "warm"

    agent: Agent[None, str] = Agent(FunctionModel(stream_function=words))
    agent.instrument = False

    @agent.tool_plain
    async def nothing() -> str:
        return "done"

    async with agent.iter("hello") as running:
        async for node in running:
            if Agent.is_model_request_node(node) or Agent.is_call_tools_node(node):
                async with node.stream(running.ctx) as events:
                    async for _ in events:
                        pass
        ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(running.new_messages()))


def _load_prices() -> None:
    from genai_prices import Usage, calc_price

    calc_price(Usage(input_tokens=1, output_tokens=1), "gpt-4o")
