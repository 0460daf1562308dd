"""In random long calls on every store, each turn is in the history or in the summary, and no fact is lost."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from hypothesis import strategies
from hypothesis.stateful import invariant, rule
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Message, Summary, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.agent.summarise import summarise
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.stores.base import Job
from layercode_app.journal.tokens import CHARACTERS_PER_TOKEN, characters_of
from layercode_app.settings.limits import Limits

from ..journals import STORES
from .store_machine import StoreMachine, try_at_random
from .world import CONVERSATION, Ear

BUDGET = 2000
"""The history budget in tokens: room for about nine turns."""
LONG = "and so on " * 70
MOST_FACTS = 60
"""The number of facts for which a summary within the budget has room."""
FACT = re.compile(r"f-\d+")


class LongCall(StoreMachine):
    """One long call. Its summaries keep each fact. They are written when a rule of this class runs the jobs."""

    def __init__(self) -> None:
        self.asked: list[list[ModelMessage]] = []
        self.facts: list[str] = []
        self.waits: asyncio.Event | None = None
        self.dies = False
        self.now = time.time()
        agent = Agent(FunctionModel(stream_function=self._speak))
        self.voice = VoiceAgent("keeper", agent, filler=False, summary=self._sum_up)
        super().__init__()

    def new_handler(self) -> TurnHandler:
        return TurnHandler(self.store, limits=Limits(history_tokens=BUDGET))

    async def forget(self) -> None:
        await super().forget()
        while (job := await self._lease()) is not None:
            await self.store.settle(job)

    # --- the agent

    async def _speak(self, messages: list[ModelMessage], info: AgentInfo) -> Any:
        self.asked.append(list(messages))
        yield "Noted. "
        if self.waits is not None:
            await self.waits.wait()
        yield LONG

    async def _sum_up(self, before: Summary | None, transcript: str) -> Summary:
        if self.dies:
            raise asyncio.CancelledError
        return Summary("The caller told facts.", [*(before.facts if before else ()), *FACT.findall(transcript)])

    # --- what callers, networks and operators do

    def say(self, *, leaves: bool = False, twice: bool = False) -> None:
        if (number := len(self.facts)) == MOST_FACTS:
            return
        self.facts.append(f"f-{number}")
        event = {
            "session_id": "s",
            "conversation_id": CONVERSATION,
            "turn_id": f"turn-{number}",
            "text": f"f-{number}",
        }

        async def deliver(ear: Ear) -> None:
            answer = self.handler.admit(
                AgentRunner(self.voice), Message.model_validate(event), ear.listener, received=time.perf_counter()
            )
            task = asyncio.ensure_future(answer)
            while leaves and not ear.frames:
                await asyncio.sleep(0)
            if leaves:
                ear.listener.leave()
            await task

        self.waits = asyncio.Event() if leaves else None
        requests, first, second = len(self.asked), Ear(), Ear()
        self.run(deliver(first))
        if twice:
            self.run(deliver(second))
            assert second.seen[: len(first.seen)] == first.seen
            assert second.seen[-1][0] == "response.end"
        assert len(self.asked) == requests + 1
        self.check(self.asked[-1], number)

    def check(self, messages: list[ModelMessage], number: int) -> None:
        """Check that a request has the newest turns in its history and the oldest turns in its summary.

        Neither the history nor the summary skips a turn. Turns between the two may be missing only while the job that
        sums them up is pending.
        """
        assert characters_of(messages) <= BUDGET * CHARACTERS_PER_TOKEN
        texts = [str(getattr(part, "content", "")) for message in messages for part in message.parts]
        summed = [text for text in texts if text.startswith("[Earlier in this call")]
        assert len(summed) <= 1
        known = FACT.findall("".join(summed))
        said = [fact for text in texts if not text.startswith("[Earlier") for fact in FACT.findall(text)]
        assert said == self.facts[number + 1 - len(said) :]
        assert known == self.facts[: len(known)]
        missing = self.facts[len(known) : number + 1 - len(said)]
        # Turns may be missing only while a job that will summarise them is pending.
        assert not missing or self.run(self.store.pending_jobs())

    @rule(leaves=strategies.booleans(), twice=strategies.booleans())
    def a_turn(self, leaves: bool, twice: bool) -> None:
        self.say(leaves=leaves, twice=twice)

    @rule(turns=strategies.integers(2, 8))
    def several_turns_whose_summaries_are_written_at_once(self, turns: int) -> None:
        for _ in range(turns):
            self.say()
            self.the_summaries_are_written()

    @rule()
    def the_summaries_are_written(self) -> None:
        async def work() -> None:
            while (job := await self._lease()) is not None:
                await summarise(
                    self.voice, self.store, CONVERSATION, job.payload["arguments"], count=lambda record: None
                )
                await self.store.settle(job)

        self.run(work())

    @rule()
    def a_worker_dies_while_it_sums_up(self) -> None:
        """A worker dies while it writes a summary. The job can be leased again when the lease has expired."""

        async def work() -> None:
            if (job := await self._lease()) is not None:
                await summarise(
                    self.voice, self.store, CONVERSATION, job.payload["arguments"], count=lambda record: None
                )

        self.dies = True
        task = self.loop.create_task(work())
        self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        self.dies = False

    async def _lease(self) -> Job | None:
        # Let an hour pass before each lease, so that the lease of a dead worker has expired.
        self.now += 3600
        return await self.store.lease(now=self.now, seconds=1)

    @invariant()
    def the_summary_is_of_the_first_turns(self) -> None:
        kept = self.run(self.store.conversation(CONVERSATION)).state.get("layercode.summary")
        if kept is not None:
            assert kept["facts"] == self.facts[: len(kept["facts"])]


@pytest.mark.repeated
@pytest.mark.parametrize("kind", STORES)
def test_random_long_calls(kind: str, request: pytest.FixtureRequest) -> None:
    try_at_random(LongCall, kind, request, examples=16, steps=15)
