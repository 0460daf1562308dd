"""The older turns of a long call become a running summary, which keeps facts.

The model requests still begin with the same text, so that a provider can cache it.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from benchmarks.prefix import Measured
from layercode_app import DeveloperError, HookError, Summary, VoiceAgent
from layercode_app.cli.sessions.view import print_summary
from layercode_app.conversation.summary import bounded, summary_in
from layercode_app.journal.copy_journal import copy_journal
from layercode_app.journal.cost import FREE_MODEL
from layercode_app.journal.forget import forget
from layercode_app.journal.read import summary_of
from layercode_app.journal.stores.base import Store
from layercode_app.journal.stores.history_steps import SUMMARY
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.journal.tokens import CHARACTERS_PER_TOKEN, characters_of
from layercode_app.reports.waterfall import waterfall_of
from layercode_app.testing import AgentCall, open_call

pytestmark = pytest.mark.anyio

BUDGET = 2000
FACT = "my customer number is 4711"
ANSWER = "Certainly, I have noted that for you. Would you like anything else today, or shall I read it back to you?"


class Notes:
    """A model that writes numbered summaries. Its facts are the customer numbers in the transcript."""

    def __init__(self, *, fails: bool = False) -> None:
        self.prompts: list[str] = []
        self.model = FunctionModel(self._write, model_name="cheap")
        self._fails = fails

    async def _write(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        prompt = str(messages[-1].parts[-1].content)  # type: ignore[union-attr]
        self.prompts.append(prompt)
        if self._fails:
            raise RuntimeError("the provider is away")
        transcript = prompt.partition("Transcript:\n")[2]
        draft = {
            "summary": f"Summary {len(self.prompts)}.",
            "facts": re.findall(r"my customer number is \d+", transcript),
        }
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, json.dumps(draft))])


class Speaker:
    """A model that answers, and measures its requests."""

    def __init__(self) -> None:
        self.measured = Measured()
        self.requests: list[list[ModelMessage]] = []
        self.turn = 0

    async def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        self.requests.append(messages)
        self.measured.add(messages, info, self.turn)
        yield ANSWER

    def voice(self, **options: Any) -> VoiceAgent[Any, Any]:
        agent = Agent(FunctionModel(stream_function=self), instructions="You take orders for a bakery. " * 20)
        return VoiceAgent("bakery", agent, filler=False, **options)


async def idle(store: Store) -> None:
    """Wait until the jobs of the turns are done."""
    while any(job.name == "task" for job in await store.pending_jobs()):
        await asyncio.sleep(0.001)


async def talk(call: AgentCall, speaker: Speaker, turns: int, *, start: int = 0) -> None:
    for number in range(start, start + turns):
        speaker.turn = number
        said = FACT if number == 3 else "I would like another loaf of bread, and a few rolls with it, if you have some."
        turn = await call.say(f"{number}: {said}")
        assert turn.error is None
        await idle(call.app.store)


def settings() -> dict[str, Any]:
    return {"history_tokens": BUDGET}


@pytest.mark.parametrize(
    ("turns", "budget", "share"), [(90, BUDGET, 0.85), pytest.param(600, 8000, 0.9, marks=pytest.mark.slow)]
)
async def test_a_fact_of_turn_3_is_in_the_last_request_and_requests_begin_alike(
    turns: int, budget: int, share: float
) -> None:
    speaker, notes = Speaker(), Notes()
    async with open_call(speaker.voice(summary=notes.model), settings={"history_tokens": budget}) as call:
        await talk(call, speaker, turns)
        records = await call.records()
        assert await call.state() == {}
    assert FACT in str(speaker.requests[-1])
    assert max(map(characters_of, speaker.requests)) <= budget * CHARACTERS_PER_TOKEN
    assert statistics.mean(speaker.measured.shares) >= share
    assert speaker.measured.complete, "the newest turns are in every request"
    assert len(notes.prompts) > 2
    assert max(map(len, notes.prompts)) < 2 * budget * CHARACTERS_PER_TOKEN, "the cost of a summary does not grow"
    counted = [record for record in records if any(call.stage == "summary" for call in record.requests)]
    assert len(counted) == len(notes.prompts)
    assert counted[0].usage["requests"] == 2
    assert [share.model for share in counted[0].shares][-1].startswith("cheap")
    assert waterfall_of(counted[0]).total_ms == counted[0].timings["total"]


async def test_a_summary_stays_the_same_until_the_next_one_and_tells_what_it_covers() -> None:
    speaker, notes = Speaker(), Notes()
    seen: list[Any] = []
    async with open_call(speaker.voice(summary=notes.model), settings=settings()) as call:
        for number in range(60):
            await talk(call, speaker, 1, start=number)
            kept = summary_in((await call.app.store.conversation(call.conversation_id)).state)
            if kept is not None and (not seen or seen[-1] != kept):
                seen.append(kept)
        records = await call.records()
    assert len(seen) == len(notes.prompts) > 1
    assert [kept.until for kept in seen] == sorted({kept.until for kept in seen})
    first = next(record for record in records if record.history_start > 1)
    assert first.history_start == seen[0].until + 1
    assert "Summary before: Summary 1." in notes.prompts[1]
    assert FACT in notes.prompts[1], "a known fact is given to the model"


@pytest.mark.parametrize("how", ["failing", "offline", "off"])
@pytest.mark.slow
async def test_without_a_summary_older_turns_are_cut_as_before(how: str) -> None:
    speaker, notes = Speaker(), Notes(fails=True)
    ways: dict[str, dict[str, Any]] = {"failing": {"summary": notes.model}, "offline": {"summary": True}, "off": {}}
    options = ways[how]
    voice = speaker.voice(**options)
    if how == "offline":
        voice.use_model(FunctionModel(stream_function=speaker, model_name=FREE_MODEL))
    async with open_call(voice, model=voice.model, settings=settings()) as call:
        await talk(call, speaker, 60)
        assert SUMMARY not in (await call.app.store.conversation(call.conversation_id)).state
    assert FACT not in str(speaker.requests[-1])
    assert statistics.mean(speaker.measured.shares) >= 0.8
    assert bool(notes.prompts) == (how == "failing")


@pytest.mark.slow
async def test_an_own_function_sums_up() -> None:
    given: list[tuple[Summary | None, str]] = []

    async def own(before: Summary | None, transcript: str) -> Summary | str:
        given.append((before, transcript))
        return Summary("They order bread.", [FACT]) if before is None else "They order more bread."

    speaker = Speaker()
    async with open_call(speaker.voice(summary=own), settings=settings()) as call:
        await talk(call, speaker, 60)
    first = next(part.content for part in speaker.requests[-1][0].parts if part.part_kind == "user-prompt")
    assert (
        first == "[Earlier in this call: They order more bread.\nFacts, word for word:\n- my customer number is 4711]"
    )
    assert given[0][1].startswith("Caller: 0: I would like another loaf")
    assert f"Agent: {ANSWER}" in given[0][1]


async def test_a_summary_that_was_lost_with_its_worker_is_made_by_the_next_one() -> None:
    """The job is leased by a worker that dies; the next turn, at another worker, enqueues the summary again."""
    speaker, notes, store = Speaker(), Notes(), MemoryStore()
    voice = speaker.voice(summary=notes.model)
    async with open_call(voice, settings=settings(), store=store) as call:
        await call.app.start()
        call.app.jobs._worker.cancel()  # type: ignore[union-attr]
        for number in range(30):
            await call.say(f"{number}: {FACT if number == 3 else 'bread'} {ANSWER}")
        assert await store.lease(now=9e12, seconds=60, only=["task"]) is not None
        assert notes.prompts == []
    async with open_call(voice, settings=settings(), store=store) as other:
        await other.say("one more", turn_id="later")
        while summary_in((await store.conversation(other.conversation_id)).state) is None:
            await asyncio.sleep(0.001)
        await other.say("and now", turn_id="later-2")
    assert FACT in str(speaker.requests[-1])


@pytest.mark.parametrize("when", ["summed up", "saved"])
async def test_a_conversation_that_is_forgotten_meanwhile_stays_forgotten(when: str) -> None:
    go, asked = asyncio.Event(), asyncio.Event()

    async def own(before: Summary | None, transcript: str) -> Summary:
        asked.set()
        await go.wait()
        return Summary("They order bread.", [FACT])

    speaker = Speaker()
    async with open_call(speaker.voice(summary=own), settings=settings()) as call:
        store = call.app.store
        while not asked.is_set():
            await call.say(ANSWER)
            await asyncio.sleep(0.001)
        if when == "summed up":
            await forget(store, call.conversation_id)
        else:
            save = store.save_state

            async def forget_first(conversation_id: str, state: dict[str, Any], **named: Any) -> bool:
                await forget(store, conversation_id)
                return await save(conversation_id, state, **named)

            store.save_state = forget_first  # type: ignore[method-assign]
        go.set()
        await call.app.jobs.drain(10)
        assert (await store.conversation(call.conversation_id)).state == {}


@pytest.mark.parametrize("own", [False, True])
async def test_an_empty_summary_is_a_failure(own: bool) -> None:
    asked = 0

    async def empty(before: Summary | None, transcript: str) -> str:
        nonlocal asked
        asked += 1
        return " "

    async def write(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {"summary": await empty(None, "")})])

    voice = Speaker().voice(summary=empty if own else FunctionModel(write))
    async with open_call(voice, settings={"history_tokens": 500}) as call:
        while not asked:
            await call.say(ANSWER)
            await idle(call.app.store)
        await call.app.jobs.drain(10)
        assert SUMMARY not in (await call.app.store.conversation(call.conversation_id)).state


async def test_turns_that_are_interrupted_are_summed_up_too() -> None:
    notes = Notes()

    async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield ANSWER
        await asyncio.Event().wait()

    voice = VoiceAgent("bakery", Agent(FunctionModel(stream_function=speak)), filler=False, summary=notes.model)
    async with open_call(voice, settings={"history_tokens": 500}) as call:
        for number in range(14):
            call.interrupt(after="Certainly")
            assert (await call.say(f"{number}: {ANSWER}")).interrupted
            await idle(call.app.store)
    assert notes.prompts


async def test_a_summary_is_shown_and_copied_without_what_it_covers(capsys: pytest.CaptureFixture[str]) -> None:
    speaker, notes, target = Speaker(), Notes(), MemoryStore()
    async with open_call(speaker.voice(summary=notes.model), settings=settings()) as call:
        await talk(call, speaker, 40)
        store = call.app.store
        print_summary(await summary_of(store, call.conversation_id))
        await copy_journal(store, target)
        assert (await summary_of(store, call.conversation_id))["until"] > 0
        copied = await summary_of(target, call.conversation_id)
    assert f"Fact:    {FACT}" in capsys.readouterr().out
    assert (copied["until"], copied["facts"]) == (0, [FACT])


def test_a_summary_has_its_share_of_the_budget() -> None:
    long = bounded(Summary("word " * 1000, [f"fact {number}" for number in range(100)]), 1000)
    assert len(long.text) + sum(map(len, long.facts)) <= 500
    assert long.facts[-1] == "fact 99"
    assert bounded(Summary("", ["name Ann", "id 4711", "x" * 2100]), 8000).facts == ["name Ann", "id 4711"]


def test_wrong_summaries_are_named() -> None:
    with pytest.raises(DeveloperError, match="summary=5: expected True, a model"):
        VoiceAgent("a", summary=5)  # type: ignore[call-overload]
    with pytest.raises(HookError, match="plain function"):
        VoiceAgent("a", summary=lambda before, transcript: "x")  # type: ignore[arg-type,return-value]
