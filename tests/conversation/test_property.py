"""In random conversations on every store, the model always gets exactly what was said and heard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import strategies
from hypothesis.stateful import precondition, rule

from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.flow import own_fields, scope_of
from layercode_app.journal.stores import create_store
from layercode_app.settings.limits import Limits

from ..journals import STORES
from .store_machine import StoreMachine, try_at_random
from .world import AGENTS, CONVERSATION, QUESTION, Count, Ear, Past, Plan, World, transcript, unpaired_calls

WORDS = strategies.lists(strategies.sampled_from(["one ", "two, ", "three. ", "für ", "🙂 "]), max_size=3)


class Conversation(StoreMachine):
    """One conversation; each rule is something that callers, networks and operators do."""

    def __init__(self) -> None:
        self.world = World()
        self.numbers = iter(range(10_000))
        self.context: dict[str, Any] | None = None
        super().__init__()

    def new_handler(self) -> TurnHandler:
        return self.world.handler(self.store)

    # --- turns

    def plan(self, before: list[str], tool: bool, after: list[str]) -> tuple[Plan, str]:
        number = next(self.numbers)
        plan = Plan(f"message {number}", before or ["Well. "], tool, (after or ["Done. "]) if tool else [])
        self.world.plans[plan.text] = plan
        return plan, f"turn-{number}"

    def begin(self, plan: Plan, turn_id: str, ear: Ear) -> asyncio.Task[None]:
        """Deliver a message. It contains the platform's report about the previous turn, if there is one."""
        context, self.context = self.context, None
        return self.world.start(self.handler, plan, turn_id, ear, context)

    async def whole(self, plan: Plan, turn_id: str, ear: Ear) -> None:
        """Deliver a message and hear all of the answer."""
        await self.begin(plan, turn_id, ear)

    def check(self, requests_before: int) -> None:
        """Check all model requests after the first `requests_before`.

        Each begins with the words that were really said and heard, and has one result for each tool call in it.
        """
        for messages in self.world.requests[requests_before:]:
            expected = self.world.expected()
            assert transcript(messages)[: len(expected)] == expected
            assert [line for line in transcript(messages)[len(expected) :] if line[0] == "user"]
            assert unpaired_calls(messages) == []

    def remember(self, plan: Plan, turn_id: str, ear: Ear, steps: int) -> None:
        spoken = plan.spoken(steps)
        assert ear.spoken == spoken
        called = plan.tool and plan.passed >= len(plan.before)
        done = plan.tool and steps > len(plan.before)
        self.world.tools += done
        whole = steps == plan.steps
        self.world.truth.append(Past(turn_id, plan.text, spoken, spoken, done, called, complete=whole, frames=ear.seen))

    async def record(self, turn_id: str) -> Any:
        return await self.store.get(CONVERSATION, turn_id)

    @rule(before=WORDS, tool=strategies.booleans(), after=WORDS)
    def a_whole_turn(self, before: list[str], tool: bool, after: list[str]) -> None:
        plan, turn_id = self.plan(before, tool, after)
        seen, ear, (agent, stage) = len(self.world.requests), Ear(), self.world.at
        plan.finish()
        self.run(self.whole(plan, turn_id, ear))
        self.check(seen)
        self.remember(plan, turn_id, ear, plan.steps)
        assert ear.seen[-1][0] == "response.end"
        record = self.run(self.record(turn_id))
        assert (record.status, record.agent) == ("complete", agent)
        assert (record.at_stage == stage) is not tool
        assert bool(record.handed_to) is tool

    @rule(before=WORDS, tool=strategies.booleans(), after=WORDS, at=strategies.integers(0, 6))
    def a_turn_whose_caller_leaves(self, before: list[str], tool: bool, after: list[str], at: int) -> None:
        plan, turn_id = self.plan(before, tool, after)
        at = min(at, plan.steps - 1)
        seen, ear = len(self.world.requests), Ear()

        async def leave() -> None:
            task = self.begin(plan, turn_id, ear)
            await plan.advance(at)
            ear.listener.leave()
            await task

        self.run(leave())
        self.check(seen)
        self.remember(plan, turn_id, ear, at)
        assert self.run(self.record(turn_id)).status == "interrupted"

    @rule(before=WORDS, tool=strategies.booleans(), after=WORDS, at=strategies.integers(0, 6), second=WORDS)
    def a_turn_that_a_newer_one_stops(
        self, before: list[str], tool: bool, after: list[str], at: int, second: list[str]
    ) -> None:
        plan, turn_id = self.plan(before, tool, after)
        newer, newer_id = self.plan(second, False, [])
        at = min(at, plan.steps - 1)
        seen, ear, newer_ear = len(self.world.requests), Ear(), Ear()

        async def supersede() -> None:
            older = self.begin(plan, turn_id, ear)
            await plan.advance(at)
            self.check(seen)
            newer.finish()
            await asyncio.gather(self.begin(newer, newer_id, newer_ear), older)

        self.run(supersede())
        self.remember(plan, turn_id, ear, at)
        self.check(len(self.world.requests) - 1)
        self.remember(newer, newer_id, newer_ear, newer.steps)
        assert self.run(self.record(turn_id)).status == "superseded"
        assert ear.seen[-1][0] == "response.end"

    @rule(before=WORDS, tool=strategies.booleans(), after=WORDS)
    def a_caller_who_leaves_during_the_save(self, before: list[str], tool: bool, after: list[str]) -> None:
        plan, turn_id = self.plan(before, tool, after)
        seen, ear = len(self.world.requests), Ear()
        store_save = self.store.save

        async def save(record: Any, **more: Any) -> bool:
            if record.finished:
                ear.listener.leave()
                await asyncio.sleep(0)
            return await store_save(record, **more)

        self.store.save = save  # type: ignore[method-assign]
        plan.finish()
        self.run(self.whole(plan, turn_id, ear))
        self.store.save = store_save  # type: ignore[method-assign]
        self.check(seen)
        self.remember(plan, turn_id, ear, plan.steps)
        assert self.run(self.record(turn_id)).status == "complete"

    # --- the same turn again

    @precondition(lambda self: self.world.truth)
    @rule(which=strategies.integers(0, 50))
    def a_finished_turn_delivered_again(self, which: int) -> None:
        past = self.world.truth[which % len(self.world.truth)]
        runs, ear = len(self.world.requests), Ear()
        context, self.context = self.context, None
        self.run(self.whole(self.world.plans[past.user], past.turn_id, ear))
        self.context = context
        assert len(self.world.requests) == runs
        assert ear.spoken == past.spoken
        assert ear.seen[-1][0] == "response.end"

    @rule(before=WORDS, tool=strategies.booleans(), after=WORDS, at=strategies.integers(0, 6))
    def a_running_turn_delivered_again_and_its_first_caller_leaves(
        self, before: list[str], tool: bool, after: list[str], at: int
    ) -> None:
        plan, turn_id = self.plan(before, tool, after)
        at = min(at, plan.steps - 1)
        seen, first, second = len(self.world.requests), Ear(), Ear()

        async def join() -> None:
            owner = self.begin(plan, turn_id, first)
            await plan.advance(at)
            joined = self.world.start(self.handler, plan, turn_id, second)
            for _ in range(20):
                await asyncio.sleep(0)
            first.listener.leave()
            plan.finish()
            await asyncio.gather(owner, joined)

        self.run(join())
        self.check(seen)
        assert plan.runs == 1
        assert plan.tool_runs == plan.tool
        assert first.spoken == plan.spoken(at)
        self.remember(plan, turn_id, second, plan.steps)

    # --- what was heard

    @precondition(lambda self: self.world.truth and self.world.truth[-1].heard)
    @rule(words=strategies.integers(0, 6))
    def the_platform_says_what_was_heard(self, words: int) -> None:
        past = self.world.truth[-1]
        heard = " ".join(past.heard.split()[:words])
        self.context = {
            "previous_turn_interrupted": True,
            "words_heard": len(heard.split()),
            "text_heard": heard,
            "assistant_turn_id": past.turn_id,
        }
        past.heard = _prefix_of_words(past.heard, len(heard.split()))
        if not heard:
            past.before = ""  # No word of the turn was heard, so none of its attempt before a crash either.

    @precondition(lambda self: self.context and self.world.truth and self.world.truth[-1].unheard)
    @rule(again=strategies.booleans())
    def a_listening_sound(self, again: bool) -> None:
        """After "Mhm.", the reply goes on from the first unheard word, without the model, and stays one reply."""
        past, requests, ear = self.world.truth[-1], len(self.world.requests), Ear()
        sound, turn_id = Plan("Mhm.", [], False, []), f"turn-{next(self.numbers)}"
        self.run(self.whole(sound, turn_id, ear))
        assert ear.spoken == past.unheard
        if again:
            self.run(self.whole(sound, turn_id, duplicate := Ear()))
            assert duplicate.seen == ear.seen
        assert len(self.world.requests) == requests
        past.joined += past.spoken.removesuffix(past.unheard)
        past.turn_id, past.frames = turn_id, ear.seen
        past.heard = past.spoken = ear.spoken

    @precondition(lambda self: self.context is None)
    @rule()
    def the_platform_names_a_turn_nobody_knows(self) -> None:
        self.context = {"previous_turn_interrupted": True, "text_heard": "what?", "assistant_turn_id": "nobody's"}

    # --- questions before a tool runs

    @rule(
        before=WORDS,
        answer=strategies.sampled_from(["yes", "no"]),
        heard=strategies.booleans(),
        other=strategies.booleans(),
        restarts=strategies.booleans(),
    )
    def a_question(self, before: list[str], answer: str, heard: bool, other: bool, restarts: bool) -> None:
        """A tool call that needs a confirmation runs once after a yes, and otherwise never.

        The yes must be the next words that the caller says after the question.
        """
        plan, turn_id = self.plan(before, False, [])
        plan.asks = True
        self._hear(plan, turn_id, "".join(plan.before) + QUESTION)
        if restarts:
            self.a_restart()
        if not heard:
            self.the_platform_says_what_was_heard(1)
            past = self.world.truth[-1]
            rest = past.spoken.removeprefix(past.heard).lstrip()
            self._answer(answer, rest if rest.endswith(QUESTION) else QUESTION)
        if other:
            self.a_whole_turn(["Well. "], False, [])
        booked = self.world.booked
        self._answer(answer, "Fine. " if other else "Booked. " if answer == "yes" else "Pity. ")
        assert self.world.booked == booked + (answer == "yes" and not other)

    def _answer(self, text: str, spoken: str) -> None:
        """Say `text` (yes or no), and hear `spoken`. A second delivery has the same answer, and books nothing."""
        after = ["Booked. " if text == "yes" else "Pity. "]
        plan = self.world.plans[text] = Plan(text, ["Fine. "], False, after)
        frames = self._hear(plan, turn_id := f"turn-{next(self.numbers)}", spoken)
        booked, again = self.world.booked, Ear()
        self.run(self.whole(plan, turn_id, again))
        assert (again.seen, self.world.booked) == (frames, booked)

    def _hear(self, plan: Plan, turn_id: str, spoken: str) -> list[Any]:
        seen, ear = len(self.world.requests), Ear()
        plan.finish()
        self.run(self.whole(plan, turn_id, ear))
        self.check(seen)
        assert ear.spoken == spoken
        self.world.truth.append(Past(turn_id, plan.text, spoken, spoken, frames=ear.seen))
        return ear.seen

    # --- a value that is collected in parts

    @rule(restarts=strategies.booleans(), leaves=strategies.booleans(), context=strategies.booleans())
    def an_address_in_parts(self, restarts: bool, leaves: bool, context: bool) -> None:
        """The parts become one address, whatever happens between them. It is stored only after the caller's yes."""
        number, agent = next(self.numbers), self.world.tools % 2
        address = f"caller{number}@example{number}.org"
        self._collect(f"caller{number} at", "save_email")
        if context:
            self.the_platform_says_what_was_heard(1)
        if restarts:
            self.a_restart()
        self._collect(f"example{number} dot org", "save_email", leaves=leaves)
        kept = self._own_state(agent)
        assert (kept.answer("email").value, kept.answer("email").confirmed) == (address, False)
        assert kept.email == self.world.emails[agent]
        self._collect(f"Yes, it is right, {number}.", "confirm_email")
        self.world.emails[agent] = address

    def _collect(self, text: str, tool: str, *, leaves: bool = False) -> None:
        """Deliver the caller's words twice, as the platform may, and hear what the collector's tool returned."""
        plan = self.world.plans[text] = Plan(text, [], False, [], collects=tool)
        seen, ear, again, turn_id = len(self.world.requests), Ear(), Ear(), f"turn-{next(self.numbers)}"

        async def leave() -> None:
            task = self.begin(plan, turn_id, ear)
            await plan.advance(0)  # until the tool has returned
            ear.listener.leave()
            await task

        plan.permits = 0 if leaves else 1
        self.run(leave() if leaves else self.whole(plan, turn_id, ear))
        self.check(seen)
        assert ear.spoken == plan.returned
        assert bool(ear.spoken) is not leaves
        self.world.truth.append(Past(turn_id, text, ear.spoken, ear.spoken, frames=ear.seen))
        self.run(self.whole(plan, turn_id, again))
        assert plan.runs == 1

    def _own_state(self, agent: int) -> Count:
        state = self.run(self.store.conversation(CONVERSATION)).state
        return Count.model_validate(own_fields(state, scope_of(AGENTS[agent], AGENTS[0])))

    # --- the page, restarts and crashes

    @rule()
    def the_page_changes_the_state(self) -> None:
        async def click() -> None:
            kept = Count.model_validate((await self.store.conversation(CONVERSATION)).state)
            await self.store.save_state(CONVERSATION, {"pages": kept.pages + 1})

        self.run(click())

    @rule()
    def the_state_is_what_the_tools_made_it(self) -> None:
        for number in range(len(AGENTS)):
            own = self._own_state(number)
            assert (own.tools, own.email) == (self.world.tools_of(number), self.world.emails[number])

    @precondition(lambda self: self.url != "memory")
    @rule(
        before=WORDS, tool=strategies.booleans(), after=WORDS, at=strategies.integers(0, 6), again=strategies.booleans()
    )
    def a_crash(self, before: list[str], tool: bool, after: list[str], at: int, again: bool) -> None:
        """The worker dies in the middle of a turn; then the turn is delivered again, or the caller goes on."""
        plan, turn_id = self.plan(before, tool, after)
        at = min(at, plan.steps - 1)
        seen, ear = len(self.world.requests), Ear()

        async def die() -> None:
            task = self.begin(plan, turn_id, ear)
            await plan.advance(at)
            self.check(seen)
            dead, self.store = self.store, create_store(self.url)
            dead.save = _nothing  # type: ignore[method-assign]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await dead.close()
            await self.store.open()

        self.run(die())
        self.handler = self.new_handler()
        called = plan.tool and plan.passed >= len(plan.before)
        done = plan.tool and plan.passed > len(plan.before)
        self.world.tools += done
        if not again:
            self.world.truth.append(Past(turn_id, plan.text, "", "", tool_called=called, finished=False))
            self._the_next_turn_knows(called)
        elif called:
            self._apologised(plan, turn_id)
        else:
            self._run_again(plan, turn_id)

    def _the_next_turn_knows(self, called: bool) -> None:
        """After a crash, the next turn knows the tools that had been called, and the words that had been saved."""
        plan, turn_id = self.plan(["After. "], False, [])
        ear = Ear()
        plan.finish()
        seen = len(self.world.requests)
        crashed = self.world.truth[-1]
        self.run(self.whole(plan, turn_id, ear))
        past = self.run(self.record(crashed.turn_id))
        # The frames up to the last tool call may have been saved before the crash. Saved frames count as heard.
        crashed.heard = crashed.spoken = past.spoken_text
        crashed.frames = []
        self.check(seen)
        assert past.status == "failed"
        said = [str(getattr(part, "content", "")) for message in self.world.requests[-1] for part in message.parts]
        notes = [text for text in said if "restart" in text and "bump" in text]
        assert len(notes) == sum(past.tool_called and not past.finished for past in self.world.truth)
        assert called == self.world.truth[-1].tool_called
        self.remember(plan, turn_id, ear, plan.steps)

    def _apologised(self, plan: Plan, turn_id: str) -> None:
        ear, runs = Ear(), plan.runs
        plan.finish()
        self.run(self.whole(plan, turn_id, ear))
        assert plan.runs == runs
        assert plan.tool_runs == 1
        # The apology does not ask the caller to repeat the order, because the tool may have placed it. The next turn's
        # model knows the text that the caller heard before the crash.
        assert ear.spoken == Limits().tool_apology
        before = "".join(plan.before)
        crashed = Past(turn_id, plan.text, ear.spoken, ear.spoken, tool_called=True, finished=False, before=before)
        self.world.truth.append(crashed)

    def _run_again(self, plan: Plan, turn_id: str) -> None:
        ear, seen = Ear(), len(self.world.requests)
        plan.passed = plan.permits = 0
        plan.finish()
        self.run(self.whole(plan, turn_id, ear))
        self.check(seen)
        self.remember(plan, turn_id, ear, plan.steps)


async def _nothing(*_: Any, **__: Any) -> bool:
    """Save nothing, as a dead worker does."""
    return False


def _prefix_of_words(text: str, count: int) -> str:
    end = 0
    for word in text.split()[:count]:
        end = text.index(word, end) + len(word)
    return text[:end]


@pytest.mark.repeated
@pytest.mark.parametrize("kind", STORES)
def test_random_conversations(kind: str, request: pytest.FixtureRequest) -> None:
    try_at_random(Conversation, kind, request, examples=40, steps=12)
