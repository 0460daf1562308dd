"""Turns nobody hears, before the first caller: imports, validators and the price table are paid for at the start.

Then, once there is a loop, a connection to each model's provider is opened.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

from ..agent.voice_agent import VoiceAgent
from ..observability import spans
from .stand_ins import single_models, stand_ins

SECONDS = 10.0
"""Over this the server starts cold."""
CONNECT_SECONDS = 5.0


def warm_up(voices: Iterable[VoiceAgent[Any, Any]] = ()) -> None:
    """Play turns through PydanticAI and the models' own classes; no span, no log line, no request to anybody."""
    models = models_of(voices)
    # In a thread, because a worker's loop may be running already.
    thread = threading.Thread(target=_play, args=(models,), name="warm-up", daemon=True)
    thread.start()
    thread.join(SECONDS)


def models_of(voices: Iterable[VoiceAgent[Any, Any]]) -> list[Any]:
    """What answers for these agents, where it is known before they are asked."""
    found = [voice.model or voice.agent.model for voice in voices if voice.agent is not None]
    return [model for model in found if model is not None and not isinstance(model, str)]


async def open_connections(voices: Iterable[VoiceAgent[Any, Any]]) -> None:
    """Ask each model's provider for the head of its base URL, with no key and for no tokens; what fails is no matter."""
    with spans.upkeep():
        await asyncio.gather(*map(_connect, single_models(models_of(voices))))


async def _connect(model: Any) -> None:
    # The client that the model's requests will use, or the connection would not be theirs.
    client: Any = getattr(getattr(getattr(model, "provider", None), "client", None), "_client", None)
    with suppress(Exception):
        await client.head(model.base_url, timeout=CONNECT_SECONDS)


def _play(models: list[Any]) -> None:
    # A cold start is slow, and nothing worse.
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
