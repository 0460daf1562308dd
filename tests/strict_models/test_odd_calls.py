"""Random odd tool calls of an OpenAI-compatible server: no later request is refused, whichever provider gets it.

These come in any order: identical calls; ids that are identical, empty, long or odd; retries; failures; calls that the
caller denies, and calls that are interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger
from pydantic_ai import Agent, CallDeferred, ModelRetry, RunContext
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model

from layercode_app import Turn, VoiceAgent
from layercode_app.conversation.history import history_of
from layercode_app.journal.stores.memory import MemoryStore

from ..conversation.world import Ear
from ..serving import serve
from . import Asked, Break, Call, Say, Step, StrictChat, StrictGemini, StrictModel, StrictResponses, words
from .talk import Talk
from .test_call_ids import WithoutThinking

IDS = ["", "", "call_0", "call_0", "call_0-2", "functions.work:0", "a|b", "ü", " ", "x" * 41, "y" * 500]
TOOLS = ["work", "ask", "defer", "unknown"]
HOW = ["done", "retry", "fail", "raise", "hang"]

calls = st.builds(
    lambda name, how, call_id: Call(name, f'{{"how": "{how}"}}' if how else "{}", call_id),
    st.sampled_from(TOOLS),
    st.sampled_from([*HOW, ""]),
    st.sampled_from(IDS),
)
responses = st.builds(
    lambda text, called, end: [*text, *called, *end],
    st.sampled_from([[], [Say("Let me see. ")]]),
    st.lists(calls, max_size=3).map(lambda called: called + called[:1]),
    st.sampled_from([[], [], [], [Break()]]),
)
turns = st.lists(
    st.tuples(st.sampled_from(["yes", "no", "what?"]), st.lists(responses, max_size=3)), min_size=1, max_size=4
)


async def _work(how: str) -> str:
    await asyncio.sleep(0)
    if how == "retry":
        raise ModelRetry("Choose another day.")
    if how == "fail":
        raise ToolFailed("We are closed.")
    if how == "raise":
        raise ValueError(how)
    if how == "hang":
        await asyncio.sleep(600)
    return how


def odd_agent(model: Model) -> VoiceAgent[Any, Any]:
    agent = Agent(model, deps_type=Turn, retries=2)

    @agent.tool
    async def work(ctx: RunContext[Turn], how: str) -> str:
        return await _work(how)

    @agent.tool
    async def ask(ctx: RunContext[Turn], how: str) -> str:
        return await _work(how)

    @agent.tool
    async def defer(ctx: RunContext[Turn], how: str) -> str:
        raise CallDeferred

    return VoiceAgent("odd", agent, confirm={"ask": "Shall I?"}, tool_timeout=0.02)


class Providers:
    """Five model servers. The model of the first makes odd tool calls.

    The other four, one for each protocol, must accept the history with these tool calls. They answer "Fine."
    """

    def __init__(self) -> None:
        self.odd = StrictChat(self._script)
        self.others: list[StrictModel] = [
            kind(words("Fine.")) for kind in (StrictChat, StrictResponses, WithoutThinking, StrictGemini)
        ]
        self.plan: list[list[Step]] = []
        self._stack = AsyncExitStack()
        self.loop = asyncio.new_event_loop()

    async def _script(self, asked: Asked) -> AsyncIterator[Step]:
        for step in self.plan.pop(0) if self.plan else [Say("Well.")]:
            yield step

    async def open(self) -> None:
        servers = [self.odd, *self.others]
        urls = [await self._stack.enter_async_context(serve(server.app)) for server in servers]
        models = [server.model(url) for server, url in zip(servers, urls, strict=True)]
        for model in models:
            await self._stack.enter_async_context(model)
        self._model, *rest = models
        self._agents = [Agent(model, model_settings={"max_retries": 0}) for model in rest]

    def close(self) -> None:
        self.loop.run_until_complete(self._stack.aclose())
        self.loop.close()

    async def hold(self, conversation: Sequence[tuple[str, list[list[Step]]]]) -> None:
        """Hold a conversation with the agent of the first server. After each turn, send the history to the other four."""
        store = MemoryStore()
        talk = Talk(self.odd, odd_agent(self._model), store)
        for text, plan in conversation:
            self.plan = list(plan)
            await talk.begin(text, Ear())
            history = history_of(await store.history("c", tokens=10_000))
            check_pairs(history)
            for agent in self._agents:
                async with agent.run_stream("And now?", message_history=list(history)) as answer:
                    assert await answer.get_output() == "Fine."
        await talk.handler.drain()
        assert [server.refused for server in (self.odd, *self.others)] == [[]] * 5


def check_pairs(history: Sequence[ModelMessage]) -> None:
    """Check that each tool call has exactly one result, and that no id is used twice."""
    parts = [part for message in history for part in message.parts]
    called = [part.tool_call_id for part in parts if part.part_kind == "tool-call"]
    results = [part.tool_call_id for part in parts if part.part_kind == "tool-return"]
    assert sorted(results) == sorted(called)
    assert len(set(called)) == len(called)


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Providers]:
    """Yield the model servers, which run in one event loop for all examples of Hypothesis."""
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", (0.001, 0.001))
    logger.disable("layercode_app")
    found = Providers()
    found.loop.run_until_complete(found.open())
    yield found
    found.close()
    logger.enable("layercode_app")


def hold(providers: Providers, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(turns)
    def conversations(conversation: list[tuple[str, list[list[Step]]]]) -> None:
        providers.loop.run_until_complete(asyncio.wait_for(providers.hold(conversation), 100))

    conversations()


def test_random_odd_calls(providers: Providers) -> None:
    hold(providers, 25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_400_conversations_with_odd_calls(providers: Providers) -> None:
    hold(providers, 400)
