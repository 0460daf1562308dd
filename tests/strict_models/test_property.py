"""Random conversations with each model server: no request is refused, and the model reads what was said and heard.

Thinking, white space, tools, fillers, broken streams, interruptions, restarts, crashes and duplicates occur in any
order. `PROPERTY_EXAMPLES` sets the number of conversations with each server. With `-m slow`, there are 2,000 in all.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from loguru import logger
from pydantic_ai import Agent
from pydantic_ai.models import Model

from layercode_app import Turn, VoiceAgent
from layercode_app.agent.connections import Connections
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.settings.limits import Limits

from ..conversation.world import Ear
from ..serving import serve
from . import ALL, Asked, Break, Call, Fail, Line, Say, Step, StrictModel, Think
from .talk import Talk, strict_agent

HALVES = ["\ud83d"]
"""Halves of surrogate pairs, for models' texts and tools' results.

Callers' texts need none, because halves in an event are replaced when the event is read.
"""
TEXTS = ["Hello. ", "Yes, ", "für dich. ", "🙂 ", "It is two forty.", " ", "\n\n", "\u200b", "", *HALVES]
RESULTS = ["done", "", " \n", "für", *HALVES]
CALLERS = ["a croissant, please", "what?"]
BLANK = ["", " ", "\n", "\u200b"]

speech = st.lists(st.one_of(st.sampled_from(TEXTS).map(Say), st.sampled_from([Think(), Think("Hm. ")])), max_size=4)
ends = st.sampled_from([(), (), (Call("bump"),), (Call("bump"), Call("bump", '{"by": 2}')), (Break(),), (Fail(500),)])
responses = st.lists(st.tuples(speech, ends).map(lambda both: [*both[0], *both[1]]), min_size=1, max_size=3)
gates = st.integers(0, 6)


@dataclass
class Plan:
    """What the model and the tools do in a turn, step by step.

    If the number `gate` is given, the model and the tools stop after `gate` steps, and go no further.
    """

    responses: list[list[Step]]
    results: list[str] = field(default_factory=list)
    gate: int | None = None
    steps: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self) -> None:
        if self.gate is not None and self.steps >= self.gate:
            self.reached.set()
            await asyncio.Event().wait()
        self.steps += 1


@dataclass
class Past:
    """What was said and heard in a turn. `spoken` is the text that must be sent if the turn is delivered again."""

    turn: int
    user: str
    heard: str
    spoken: str


def packed(text: str) -> str:
    """Return the text without white space and without characters that have no width."""
    return re.sub("[\\s\u200b]", "", text)


class Conversation(RuleBasedStateMachine):
    """One conversation over a journal in memory."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    server: ClassVar[StrictModel]
    model: ClassVar[Model]

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.plan = Plan([])
        self.past: list[Past] = []
        self.exact = True
        self.context: dict[str, Any] = {}
        self.server.script = self.script
        self.server.asked.clear()

    @initialize(filler=st.booleans(), thinking=st.booleans(), tokens=st.sampled_from([8000, 8000, 150]))
    def an_agent(self, filler: bool, thinking: bool, tokens: int) -> None:
        options: dict[str, Any] = {"filler": "One moment. ", "filler_after": 0.0} if filler else {}
        voice = strict_agent(self.model, self.tool, **options)
        if thinking:
            voice.while_thinking(say_something)
        self.exact = tokens == 8000
        self.limits = Limits(history_tokens=tokens)
        self.talk = Talk(self.server, voice, self.store)
        self.restart()

    def restart(self) -> None:
        self.talk.handler = TurnHandler(self.store, limits=self.limits)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 100))

    def teardown(self) -> None:
        if hasattr(self, "talk"):
            self.run(self.talk.handler.drain())
        assert self.server.refused == []

    # --- the model and its tool

    async def script(self, asked: Asked) -> AsyncIterator[Step]:
        plan = self.plan
        for step in plan.responses.pop(0) if plan.responses else [Say("Well. ")]:
            await plan.step()
            yield step
        await plan.step()

    async def tool(self, turn: Turn[Any, Any], by: int) -> str:
        plan = self.plan
        if by == 2:
            turn.say("I am looking. ")
        await plan.step()
        return plan.results.pop(0) if plan.results else "bumped"

    # --- turns

    def begin(self, plan: Plan, ear: Ear, text: str) -> asyncio.Task[None]:
        context, self.context = self.context, {}
        self.plan = plan
        self.seen = len(self.server.asked)
        self.turn = self.talk.turn
        return self.talk.begin(text, ear, **context)

    def words_of(self, text: str) -> str:
        return f"{text} {self.talk.turn}"

    def check(self) -> None:
        """Check that the server refused no request, and that new requests begin with the earlier turns as heard.

        New requests are those since the newest turn began. Their contents are checked only if `exact` is true.
        """
        assert self.server.refused == []
        if not self.exact or not hasattr(self, "seen"):
            return
        for asked in self.server.asked[self.seen :]:
            known = exchanges(asked.lines)
            expected = [(past.user, packed(past.heard)) for past in self.past]
            assert known[: len(expected)] == expected

    def remember(self, text: str, ear: Ear) -> None:
        self.check()
        self.past.append(Past(self.turn, text, ear.spoken, ear.spoken))

    @rule(answers=responses, results=st.lists(st.sampled_from(RESULTS), max_size=3), text=st.sampled_from(CALLERS))
    def a_whole_turn(self, answers: list[list[Step]], results: list[str], text: str) -> None:
        ear, words = Ear(), self.words_of(text)
        self.run(self.whole(Plan(answers, results), ear, words))
        self.remember(words, ear)

    async def whole(self, plan: Plan, ear: Ear, text: str) -> None:
        await self.begin(plan, ear, text)

    @rule(text=st.sampled_from(BLANK))
    def a_caller_who_says_nothing(self, text: str) -> None:
        # Another test checks the record of such a turn. This test only checks that the next turns still work.
        self.exact = False
        ear = Ear()
        self.run(self.whole(Plan([]), ear, text))
        self.past.append(Past(self.turn, text, ear.spoken, ear.spoken))

    @rule(answers=responses, gate=gates)
    def a_caller_who_leaves(self, answers: list[list[Step]], gate: int) -> None:
        ear, words, plan = Ear(), self.words_of("and then"), Plan(answers, gate=gate)
        self.run(self.until_gate(plan, ear, words, ear.listener.leave))
        self.remember(words, ear)

    async def until_gate(self, plan: Plan, ear: Ear, text: str, act: Any) -> None:
        """Deliver a message, and call `act` when the turn has reached its gate, unless the turn ends earlier."""
        turn = self.begin(plan, ear, text)
        gate = asyncio.ensure_future(plan.reached.wait())
        await asyncio.wait({turn, gate}, return_when=asyncio.FIRST_COMPLETED)
        gate.cancel()
        if not turn.done():
            act()
        await asyncio.gather(turn, return_exceptions=True)

    @rule(answers=responses, gate=gates, newer=responses)
    def a_turn_that_a_newer_one_stops(self, answers: list[list[Step]], gate: int, newer: list[list[Step]]) -> None:
        ear, words, plan = Ear(), self.words_of("wait"), Plan(answers, gate=gate)
        newer_ear, newer_words = Ear(), f"stop {self.talk.turn + 1}"

        async def supersede() -> None:
            older = self.begin(plan, ear, words)
            gate = asyncio.ensure_future(plan.reached.wait())
            await asyncio.wait({older, gate}, return_when=asyncio.FIRST_COMPLETED)
            gate.cancel()
            self.check()
            number, task = self.turn, self.begin(Plan(newer), newer_ear, newer_words)
            await asyncio.gather(older, task)
            self.past.append(Past(number, words, ear.spoken, ear.spoken))

        self.run(supersede())
        self.remember(newer_words, newer_ear)

    # --- what was heard

    @precondition(lambda self: self.past and not self.context)
    @rule(share=st.integers(0, 5))
    def the_platform_says_what_was_heard(self, share: int) -> None:
        past = self.past[-1]
        heard = "".join(re.findall(r"\s*\S+", past.heard)[:share])
        context = {"previous_turn_interrupted": True, "text_heard": heard, "words_heard": len(heard.split())}
        self.context = {"interruption_context": context}
        past.heard = heard

    # --- duplicates, restarts, crashes

    @precondition(lambda self: self.past)
    @rule(which=st.integers(0, 20))
    def a_finished_turn_delivered_again(self, which: int) -> None:
        past, ear = self.past[which % len(self.past)], Ear()
        requests, context = len(self.server.asked), self.context
        self.run(self.again(past.turn, past.user, ear))
        self.context = context
        assert ear.spoken == past.spoken
        assert len(self.server.asked) == requests

    async def again(self, turn: int, text: str, ear: Ear) -> None:
        await self.talk.begin(text, ear, turn_id=f"turn-{turn}")

    @rule()
    def a_restart(self) -> None:
        self.run(self.talk.handler.drain())
        self.restart()

    @rule(answers=responses, gate=gates, again=st.booleans())
    def a_crash(self, answers: list[list[Step]], gate: int, again: bool) -> None:
        """Let the worker die at the turn's gate. Then the turn is delivered again, or the caller says something new."""
        ear, words, plan = Ear(), self.words_of("hello"), Plan(answers, gate=gate)
        dead: list[bool] = []
        self.run(self.until_gate(plan, ear, words, lambda: self.die(dead)))
        self.check()
        if not dead:
            self.past.append(Past(self.turn, words, ear.spoken, ear.spoken))
            return
        del self.store.save
        self.restart()
        kept = self.store._turns["c", f"turn-{self.turn}"]
        kept.owner, before = "a worker that died", kept.spoken_text
        self.plan, ear = Plan([]), Ear()
        if again:
            self.run(self.again(self.turn, words, ear))
            self.check()
        self.past.append(Past(self.turn, words, f"{before} {ear.spoken}", ear.spoken if again else before))
        if not again:
            # The next turn finds out that the worker died.
            self.run(self.whole(Plan([]), ear, self.words_of("are you there")))
            self.remember(f"are you there {self.turn}", ear)

    def die(self, dead: list[bool]) -> None:
        """Save no turn from now on, and cancel the running turns."""

        async def nothing(*_: Any, **__: Any) -> bool:
            """Do nothing in place of a save, because a dead worker saves nothing."""
            return False

        self.store.save = nothing  # type: ignore[method-assign]
        dead.append(True)
        for live in self.talk.handler.running.values():
            assert live.task is not None
            live.task.cancel()


async def say_something(turn: Turn[Any, Any]) -> str:
    return "Let me see. "


def exchanges(lines: list[Line]) -> list[tuple[str, str]]:
    """Return each message of the caller, with all that the assistant said before the next message."""
    found: list[tuple[str, str]] = []
    for line in lines:
        if line.role == "user" and not line.text.startswith(("[", "<system>")):
            found.append((line.text, ""))
        elif line.role == "assistant" and found:
            found[-1] = (found[-1][0], found[-1][1] + packed(line.text))
    return found


@pytest.fixture(params=ALL, ids=lambda kind: kind.name)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yield a subclass of Conversation for one model server. Each instance of it is one conversation with this server.

    All these conversations run in one event loop. The server's model is opened as the app opens the models of its
    agents.
    """
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", (0.001, 0.001))
    logger.disable("layercode_app")
    loop = asyncio.new_event_loop()
    server: StrictModel = request.param(lambda asked: None)
    serving = serve(server.app)
    url = loop.run_until_complete(serving.__aenter__())
    model = server.model(url)
    connections = Connections()
    loop.run_until_complete(connections.open([VoiceAgent("opened", Agent(model))]))
    yield type(request.param.__name__, (Conversation,), {"loop": loop, "server": server, "model": model})
    loop.run_until_complete(connections.close())
    loop.run_until_complete(serving.__aexit__(None, None, None))
    loop.close()
    logger.enable("layercode_app")


def hold(machine: Any, conversations: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("PROPERTY_EXAMPLES", conversations)),
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
        ),
    )


def test_random_conversations(machine: Any) -> None:
    hold(machine, 10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_2000_random_conversations(machine: Any) -> None:
    hold(machine, 500)
