"""If a caller interrupts a reply with "mhm", the reply continues.

It does not continue if the "mhm" answers a question, or if the caller says other words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Call, DeveloperError, Turn, VoiceAgent
from layercode_app.agent.backchannels import SOUNDS, listener_of
from layercode_app.conversation.heard import correct
from layercode_app.conversation.history import history_of
from layercode_app.conversation.resumed import asks, rest_of, was_cut_off
from layercode_app.journal.record import Kind, ModelCall, Speech, Status, ToolCall, TurnRecord
from layercode_app.testing import AgentCall, open_call, scripted
from layercode_app.webhook import InterruptionContext

from .world import transcript

pytestmark = pytest.mark.anyio


class Reply(BaseModel):
    text: str


HOURS = "We open at nine every day. On Sundays we open at ten, and we close at two in the afternoon."


def informer(**options: Any) -> tuple[VoiceAgent[Any, Any], list[Sequence[ModelMessage]]]:
    """Return an agent, and the list of its model requests.

    It answers "hours" with a long text, "table" with a question, and anything else with "Fine.".
    """
    seen: list[Sequence[ModelMessage]] = []

    async def model(messages: list[ModelMessage], info: Any) -> AsyncIterator[str]:
        seen.append(messages)
        said = transcript(messages)[-1][1]
        text = {"hours": HOURS, "table": "I have one at four. Shall I book it for you now?"}.get(said, "Fine.")
        for before, word in pairwise(["", *text.split(" ")]):
            yield f" {word}" if before else word

    voice = VoiceAgent(
        "informer", Agent(FunctionModel(stream_function=model)), backchannels=True, filler=False, **options
    )
    return voice, seen


async def interrupted(call: AgentCall, text: str, after: int) -> None:
    """Speak over the reply, which was complete but not played."""
    call.interrupt(after=after, playing=True)
    await call.say(text)


# --- in a call


async def test_a_listening_sound_continues_with_the_first_unheard_word_and_calls_no_model() -> None:
    voice, seen = informer()
    async with open_call(voice) as call:
        await interrupted(call, "hours", after=4)
        turn = await call.say("Mhm.")
        assert turn.spoken == HOURS.removeprefix("We open at nine ")
        assert len(seen) == 1
        await call.say("thanks")
        told = transcript(seen[-1])
        records = await call.records()
    assert told == [("user", "hours"), ("assistant", HOURS), ("user", "thanks")]
    assert [(record.resumes, record.model) for record in records[1:]] == [
        (records[0].turn_id, ""),
        ("", records[2].model),
    ]
    assert not any("interrupted" in str(message) for message in seen[-1])


async def test_a_reply_that_is_interrupted_again_and_again_stays_one_reply() -> None:
    voice, seen = informer()
    async with open_call(voice) as call:
        await interrupted(call, "hours", after=3)
        await interrupted(call, "uh-huh", after=4)
        turn = await call.say("okay, right")
        assert turn.spoken.startswith("Sundays we open")
        await interrupted(call, "hours", after=3)
        await interrupted(call, "mm", after=2)
        await call.say("stop")
    told = transcript(seen[-1])
    assert told == [
        ("user", "hours"),
        ("assistant", HOURS),
        ("user", "hours"),
        ("assistant", "We open at nine every"),
        ("user", "stop"),
    ]


async def test_a_duplicate_of_the_sound_is_the_same_answer() -> None:
    voice, seen = informer()
    async with open_call(voice) as call:
        await interrupted(call, "hours", after=5)
        first = await call.say("mhm")
        again = await call.resend()
        assert (again.spoken, len(seen)) == (first.spoken, 1)


@pytest.mark.parametrize(
    ("said", "heard", "sound"),
    [
        ("table", 10, "okay"),  # the question was asked
        ("table", 6, "yes"),  # the question was being asked
        ("hours", 4, "okay, and on Mondays?"),  # not only a sound
        ("hours", 4, "wait"),
    ],
)
async def test_a_question_is_answered_and_other_words_go_to_the_model(said: str, heard: int, sound: str) -> None:
    voice, seen = informer()
    async with open_call(voice) as call:
        await interrupted(call, said, after=heard)
        assert (await call.say(sound)).spoken == "Fine."
    assert transcript(seen[-1])[-1] == ("user", sound)


async def test_a_sound_before_the_question_leads_to_the_question() -> None:
    voice, _ = informer()
    async with open_call(voice) as call:
        await interrupted(call, "table", after=2)
        assert (await call.say("mhm")).spoken == "one at four. Shall I book it for you now?"


async def test_after_a_whole_reply_a_sound_is_a_message() -> None:
    voice, seen = informer()
    async with open_call(voice) as call:
        await call.say("hours")
        assert (await call.say("okay")).spoken == "Fine."
        call.reconnect()
    assert len(seen) == 2


async def test_a_sound_of_a_new_session_is_a_message() -> None:
    voice, seen = informer()
    async with open_call(voice) as call:
        await interrupted(call, "hours", after=4)
        call.reconnect()
        await call.say("mhm")
    assert transcript(seen[-1])[-1] == ("user", "mhm")


async def test_an_agent_that_does_not_ask_for_it_answers_as_before() -> None:
    voice, _ = informer()
    voice.listener = None
    async with open_call(voice) as call:
        await interrupted(call, "hours", after=4)
        assert (await call.say("mhm")).spoken == "Fine."


async def test_a_reply_that_the_model_had_not_finished_is_continued_by_the_model() -> None:
    voice, seen = informer()
    async with open_call(voice) as call:
        call.interrupt(after=4)
        await call.say("hours")
        await call.say("mhm")
    assert "only showed that they listen" in str(seen[-1][-1])
    assert ("user", "mhm") not in transcript(seen[-1])


async def test_a_complete_reply_whose_last_response_also_called_a_tool_is_continued_without_the_model() -> None:
    ran: list[str] = []

    async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        ran.append("model")
        yield {0: DeltaToolCall("note", "{}", tool_call_id="call-1")}
        yield {1: DeltaToolCall(info.output_tools[0].name, json.dumps({"text": HOURS}), tool_call_id="call-2")}

    agent = Agent(FunctionModel(stream_function=model), output_type=Reply)

    @agent.tool_plain
    def note() -> None:
        ran.append("note")

    async with open_call(VoiceAgent("informer", agent, speak=lambda said: said.text, backchannels=True)) as call:
        await interrupted(call, "hours", after=14)
        assert (await call.say("mhm")).spoken == "close at two in the afternoon."
    assert ran == ["model", "note"]


async def test_the_words_of_a_hand_over_are_continued_without_the_model() -> None:
    agent = Agent(deps_type=Turn)

    @agent.tool
    async def transfer(ctx: RunContext[Turn]) -> None:
        ctx.deps.hand_to("informer", say="Billing will take over from here.")

    other, seen = informer()
    first = VoiceAgent("front", agent, filler=False)
    async with open_call(first, others=[other], model=scripted(Call("transfer"))) as call:
        await interrupted(call, "billing", after=2)
        assert (await call.say("mhm")).spoken == "take over from here."
    assert seen == []


@pytest.mark.parametrize("sound", ["Mhm.", ""])
@pytest.mark.parametrize("playing", [True, False], ids=["whole", "cut off"])
@pytest.mark.parametrize("refused", [False, True])
async def test_a_continued_goodbye_still_ends_the_call(playing: bool, sound: str, refused: bool) -> None:
    async def guard(turn: Turn) -> str | None:
        return "No." if refused and turn.text == sound else None

    async def model(messages: list[ModelMessage], info: Any) -> AsyncIterator[Any]:
        if getattr(messages[-1].parts[-1], "content", "") == "That is all":
            yield {0: DeltaToolCall("leave", "{}", tool_call_id="call-1")}
            return
        for word in ("Thank ", "you ", "for ", "calling."):
            yield word
            await asyncio.sleep(0.01)

    agent = Agent(FunctionModel(stream_function=model), deps_type=Turn)

    @agent.tool
    async def leave(ctx: RunContext[Turn]) -> str:
        ctx.deps.hangup()
        return "the call ends after your goodbye"

    async with open_call(VoiceAgent("guide", agent, backchannels=True, filler=False, guard=guard)) as call:
        call.interrupt(after=2, playing=playing)
        await call.say("That is all")
        assert (await call.say(sound)).hangup
        assert not (await call.say("Hello again?")).hangup


async def test_an_agent_without_a_model_continues_too() -> None:
    voice = VoiceAgent("speaker", backchannels=["en", "fair enough"])

    @voice.on_message
    async def speak(turn: Turn) -> str:
        return HOURS

    async with open_call(voice) as call:
        await interrupted(call, "hours", after=14)
        assert (await call.say("Fair enough!")).spoken == "close at two in the afternoon."


# --- what is left of a reply


def reply(*speech: tuple[Any, int, str], heard: str | None = None, **more: Any) -> TurnRecord:
    status = Status.COMPLETE if heard is None else Status.INTERRUPTED
    turn = TurnRecord("c", "t1", Kind.MESSAGE, "a", status=status, user_text="hours", heard_text=heard, **more)
    turn.speech = [Speech(source, response, text) for source, response, text in speech]
    return turn


@pytest.mark.parametrize(
    ("heard", "rest"),
    [
        ("", "We open at nine, tomorrow."),
        ("We open", "at nine, tomorrow."),
        ("We open at nine, tomor", "tomorrow."),
        ("we open at nine", "tomorrow."),  # the platform's spelling
        ("We open at nine, tomorrow.", ""),
        ("something else", ""),
    ],
)
def test_the_rest_begins_with_the_first_word_that_was_not_heard(heard: str, rest: str) -> None:
    assert rest_of(reply(("model", 0, "We open at nine, tomorrow."), heard=heard)) == rest


def test_fillers_are_not_said_again() -> None:
    cut = reply(("model", 0, "Let me see."), ("filler", 0, " One moment. "), ("model", 1, "At nine."), heard="Let me")
    assert rest_of(cut) == "see. At nine."
    resumed = reply(("say", 0, rest_of(cut)), resumes="t1")
    resumed.turn_id = "t2"
    assert transcript(history_of([cut, resumed])) == [("user", "hours"), ("assistant", "Let me see. At nine.")]


def test_without_the_turn_that_it_continues_the_words_are_in_the_history_alone() -> None:
    resumed = reply(("say", 0, "at nine."), resumes="t0")
    assert transcript(history_of([resumed])) == [("user", "hours"), ("assistant", "at nine.")]


@pytest.mark.parametrize(
    ("heard", "question"),
    [
        ("Shall", True),
        ("Shall I book it?", True),
        ("Shall I book it? I can", True),
        ("Shall I book it? I can also wait. It", False),
    ],
)
def test_a_question_is_one_that_was_just_asked_or_is_being_asked(heard: str, question: bool) -> None:
    text = "Shall I book it? I can also wait. It is no trouble. Or not?"
    assert asks(reply(("model", 0, text), heard=heard)) is question


def test_a_reply_was_cut_off_if_its_request_or_its_tool_was() -> None:
    call = ModelCall("m", 1.0, status="done")
    assert not was_cut_off(reply(requests=[call]))
    assert was_cut_off(reply(requests=[call, ModelCall("m", 9.0, status="cancelled")]))
    tool = ToolCall("1", "look", {}, 5.0, 6.0, "done")
    assert was_cut_off(reply(requests=[call], tools=[tool]))
    assert not was_cut_off(reply(requests=[call], tools=[tool], ended_at=7.0))


# --- which sounds


@pytest.mark.parametrize("text", ["Mhm.", "uh-huh", "UH HUH!", "Okay, right.", "mmmm", "I see", "yeah, yeah, yeah"])
def test_sounds_are_recognised_in_any_spelling(text: str) -> None:
    listener = listener_of("en")
    assert listener is not None
    assert listener.fit(text)


@pytest.mark.parametrize("text", ["", "...", "okay then", "wait", "no", "hm but why", "ach so"])
def test_other_words_are_no_sounds(text: str) -> None:
    listener = listener_of("en")
    assert listener is not None
    assert not listener.fit(text)


def test_languages_and_further_sounds_are_chosen() -> None:
    both = listener_of(["de", "fair enough"])
    assert both is not None
    assert [both.fit(text) for text in ("Ach so!", "fair enough", "gotcha")] == [True, True, False]
    every = listener_of(True)
    assert every is not None
    assert all(every.fit(sound) for sounds in SOUNDS.values() for sound in sounds)
    assert listener_of(False) is listener_of([]) is None


def test_other_types_are_refused() -> None:
    with pytest.raises(DeveloperError, match=r"backchannels=7: expected True, languages \(en, de, "):
        VoiceAgent("odd", backchannels=7)  # type: ignore[call-overload]


def test_a_request_that_lost_to_another_did_not_cut_the_reply() -> None:
    turn = TurnRecord("c", "t", Kind.MESSAGE, "a")
    turn.requests = [
        ModelCall("m", 0.0, ended_ms=9.0, status="done"),
        ModelCall("m", 5.0, ended_ms=9.0, status="cancelled", hedge="lost"),
    ]
    assert not was_cut_off(turn)
    turn.requests[0].status = "cancelled"
    assert was_cut_off(turn)


async def test_a_hook_that_was_stopped_in_its_reply_is_run_again() -> None:
    """The words that the hook had not yielded yet are unknown, so the reply cannot be continued."""
    voice = VoiceAgent("hook", backchannels=True)

    @voice.on_message
    async def answer(turn: Turn) -> AsyncIterator[str]:
        for word in HOURS.split():
            yield f"{word} "
            await asyncio.sleep(0.01)

    async with open_call(voice) as call:
        call.interrupt(after=3)
        await call.say("hours")
        assert (await call.say("mhm")).spoken.strip() == HOURS
        (cut, whole) = await call.records()
    assert (cut.cut_off, whole.cut_off, whole.resumes) == (True, False, "")


def test_where_nothing_was_heard_nothing_was_heard_of_a_dead_workers_attempt() -> None:
    turn = TurnRecord("c", "t", Kind.MESSAGE, "a", status=Status.COMPLETE, before="Let me see. ")
    turn.speech = [Speech("model", 0, "At nine.")]
    correct(turn, InterruptionContext(previous_turn_interrupted=True, text_heard=""))
    assert (turn.before, turn.heard_text) == ("", "")
