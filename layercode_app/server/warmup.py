"""Warm up before the first call: trial turns load imports, validators and the price table at the start."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

from ..agent.models import models_of
from ..agent.voice_agent import VoiceAgent
from .canned_models import stand_ins

SECONDS = 10.0
"""Maximum duration of the warm-up in seconds; then the server starts anyway."""


def warm_up(voices: Iterable[VoiceAgent[Any, Any]] = ()) -> None:
    """Run trial turns, without spans, log lines or network requests.

    The first turn uses a function model. After it, one turn is run for each class of OpenAI models that the agents in
    `voices` use. These models give canned answers.
    """
    models = models_of(voices)
    # Use a thread, because a worker's event loop may be running already.
    thread = threading.Thread(target=_play, args=(models,), name="warm-up", daemon=True)
    thread.start()
    thread.join(SECONDS)


def _play(models: list[Any]) -> None:
    # Ignore errors: a failed warm-up only makes the first turn slower.
    with suppress(Exception):
        asyncio.run(_turn())
    with suppress(Exception):
        _load_prices()
    with suppress(Exception):
        for model in stand_ins(models):
            asyncio.run(_turn(model))


async def _turn(model: Any = None) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessagesTypeAdapter
    from pydantic_ai.models.function import DeltaToolCall, FunctionModel

    async def words(messages: list[Any], info: Any) -> AsyncIterator[Any]:
        if len(messages) == 1:
            yield {0: DeltaToolCall(name="nothing", json_args="{}", tool_call_id="warm-up")}
        else:
            yield "warm"

    agent: Agent[None, str] = Agent(model or FunctionModel(stream_function=words))
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
