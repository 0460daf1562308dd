"""An agent that calls out waits for the other side, and leaves a message on an answering machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import DeveloperError, Turn, VoiceAgent, Voicemail
from layercode_app.agent.voicemail import MOST_TRIES, is_machine_text
from layercode_app.cli.platform.view import prepare_call, variables_of
from layercode_app.exceptions import ConfigurationError
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio

MESSAGE = "Hello, this is the bakery. Your bread is ready."
MACHINES = (
    "You've reached Ann Smith. Please leave a message after the tone.",
    "Hi, this is Bob, I can't come to the phone right now. Leave me a message and I'll call you back.",
    "Your call has been forwarded to an automated voice messaging system.",
    "The person you are trying to reach is not available. At the tone, please record your message.",
    "Welcome to the voicemail of five five five, one two three four.",
    "Please leave your name and number and we will get back to you.",
    "When you have finished recording, you may hang up.",
    "The mailbox is full.",
    "Guten Tag, hier ist der Anrufbeantworter von Anna Schmidt.",
    "Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
    "Vous êtes bien chez Anne, laissez un message après le bip.",
    "Deje su mensaje después de la señal.",
)
PEOPLE = (
    "Hello?", "Hello, Ann speaking.", "Yes?", "Who is this?", "She is not available right now, can I take a message?",
    "He can't come to the phone, may I help you?", "Smith residence, who's calling?", "I'm unable to talk now.",
    "Do you want me to leave him a message?", "I got your voicemail yesterday.", "Thank you for calling back.",
    "Good morning, dental practice, how can I help you?", "Can you call back later?", "Hallo, wer ist da?",
    "Would you like to leave a message?", "Schmidt.", "Oh hi, I listened to my mailbox just now.", "Not available, sorry.",
)  # fmt: skip


async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "Fine."


def calling(**options: Any) -> VoiceAgent[Any, Any]:
    given: dict[str, Any] = {"greeting": "Hello, this is the bakery.", "voicemail": MESSAGE, "filler": False} | options
    return VoiceAgent("bakery", Agent(FunctionModel(stream_function=speak)), **given)


def test_machines_are_told_from_people() -> None:
    assert [text for text in MACHINES if is_machine_text(text) is not True] == []
    assert [text for text in PEOPLE if is_machine_text(text) is True] == []


async def test_the_greeting_waits_for_the_other_side() -> None:
    async with open_call(calling(greeting_waits=True)) as call:
        assert (await call.greet()).spoken == ""
        assert (await call.say(" ")).spoken == ""
        assert (await call.say("Hello?")).spoken == "Hello, this is the bakery.", "also after a cough"
    async with open_call(calling(greeting_waits=True)) as call:
        await call.greet()
        assert (await call.say("Hello?")).spoken == "Hello, this is the bakery."
        assert (await call.resend()).spoken == "Hello, this is the bakery."
        assert (await call.say("Yes?")).spoken == "Fine."
        call.reconnect()
        assert (await call.greet()).spoken == ""
        assert (await call.say("Hello again")).spoken == "Hello, this is the bakery."


async def test_a_function_decides_which_greeting_waits() -> None:
    voice = calling(greeting_waits=lambda turn: turn.outbound)
    async with open_call(voice) as call:
        assert (await call.greet()).spoken == "Hello, this is the bakery."
        assert (await call.say("Hello")).spoken == "Fine."
    async with open_call(voice, metadata={"direction": "outbound"}) as call:
        assert (await call.greet()).spoken == ""
        assert (await call.say("Hello")).spoken == "Hello, this is the bakery."


async def test_a_caller_who_wants_to_leave_a_message_is_no_machine() -> None:
    voice, words = calling(greeting_waits=lambda turn: turn.outbound), "I would like to leave a message."
    async with open_call(voice) as call:
        await call.greet()
        assert (await call.say(words)).spoken == "Fine."
    async with open_call(voice, metadata={"direction": "outbound"}) as call:
        await call.greet()
        assert (await call.say(words)).spoken == MESSAGE


async def test_a_message_is_left_the_call_ended_and_the_outcome_recorded() -> None:
    async with open_call(calling(greeting_waits=True)) as call:
        await call.greet()
        turn = await call.say(MACHINES[0])
        assert turn.spoken == MESSAGE
        assert "response.hangup" in [frame.type for frame in turn.frames]
        assert (await call.resend()).spoken == MESSAGE
        record = (await call.records())[-1]
    assert [given["name"] for given in record.outcomes] == ["voicemail"]
    assert record.usage == {}, "no model was called"


async def test_a_greeting_in_two_parts_is_recognised_and_an_interrupted_message_left_again() -> None:
    store = MemoryStore()
    async with open_call(calling(greeting_waits=True), store=store) as call:
        await call.greet()
        assert (await call.say("Hi, this is Ann.")).spoken == "Hello, this is the bakery."
        call.interrupt(after=2, playing=True)
        assert (await call.say("Please leave a message.")).spoken == MESSAGE
        for _ in range(MOST_TRIES - 1):
            assert (await call.say("or press one")).spoken == MESSAGE
        ended = await call.say("beep")
        assert ended.spoken == ""
        assert "response.hangup" in [frame.type for frame in ended.frames]


async def test_later_in_a_call_nobody_is_taken_for_a_machine() -> None:
    async with open_call(calling()) as call:
        for said in ("Hello?", "Yes.", "Of course."):
            await call.say(said)
        assert (await call.say("Please leave a message at my door.")).spoken == "Fine."


async def test_a_function_makes_the_message_and_a_model_judges_what_is_unclear() -> None:
    asked: list[str] = []

    async def judge(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(str(messages[-1].parts[-1].content))  # type: ignore[union-attr]
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, json.dumps({"is_machine": True}))])

    async def message(turn: Turn) -> str:
        return f"Hello {turn.metadata['name']}."

    voice = calling(voicemail=Voicemail(message, phrases=["beep beep"], model=FunctionModel(judge)))
    for said in ("Ann Smith is not available.", "This is Ann, beep beep!"):
        async with open_call(voice, metadata={"name": "Ann"}) as call:
            assert (await call.say(said)).spoken == "Hello Ann."
    async with open_call(voice) as call:
        assert (await call.say("Hello?")).spoken == "Fine."
    assert asked == ["Ann Smith is not available."]


async def test_while_the_model_hangs_the_call_goes_on_as_with_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layercode_app.agent.verdict.VERDICT_SECONDS", 0.01)

    async def hanging(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(3600)
        raise AssertionError("not reached")

    async with open_call(calling(voicemail=Voicemail("Hello.", model=FunctionModel(hanging)))) as call:
        assert (await call.say("Ann Smith is not available.")).spoken == "Fine."


async def test_the_command_writes_metadata_and_agent_for_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/journal.sqlite3"
    store = create_store(url)
    await store.open()
    other = VoiceAgent("other")

    @other.on_message
    async def answer(turn: Turn) -> str:
        return f"{turn.metadata['name']}, outbound: {turn.outbound}"

    await asyncio.to_thread(prepare_call, "conv", variables_of(["name=Ann", "note=a=b"]), agent="other", store=url)
    async with open_call(calling(), others=[other], store=store, conversation_id="conv") as call:
        turn = await call.say("Hello?")
        assert turn.spoken == "Ann, outbound: True"
        assert turn.record is not None
        assert turn.record.metadata == {"direction": "outbound", "name": "Ann", "note": "a=b"}
    await store.close()
    await asyncio.to_thread(prepare_call, "conv", {}, agent=None, store="memory")
    assert "The server will not know --var and --agent" in capsys.readouterr().err


def test_wrong_declarations_are_named() -> None:
    with pytest.raises(ConfigurationError, match="--var 'name': expected NAME=VALUE"):
        variables_of(["name"])
    with pytest.raises(DeveloperError, match="expected a text to leave"):
        calling(voicemail=" ")
