"""Two simultaneous sessions of one conversation: what happens once per session, such as a greeting, is not repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layercode_app import Turn, VoiceAgent, Voicemail
from layercode_app.agent.voicemail import FIRST_MESSAGES
from layercode_app.conversation.flow import CALLERS, GREETED, RESUMED, caller_in
from layercode_app.conversation.session_values import MOST_SESSIONS, YES, values_in, with_value
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.testing import AgentCall, open_call

pytestmark = pytest.mark.anyio

TURNS = ("s1", "s1", "s2", "s1", "s2", "s1")


def clerk(**more: Any) -> VoiceAgent[Any, Any]:
    voice = VoiceAgent("clerk", **more)

    @voice.on_message
    async def answer(turn: Turn) -> str:
        return f"{turn.text} {turn.resumed}"

    return voice


async def said(call: AgentCall, sessions: tuple[str, ...] = TURNS) -> list[str]:
    """Say "yes" in each of these sessions, one after the other, and return what the caller hears each time."""
    spoken = []
    for session_id in sessions:
        call.session_id = session_id
        spoken.append((await call.say("yes")).spoken)
    return spoken


@pytest.mark.parametrize("history", [False, True])
async def test_each_session_hears_a_delayed_greeting_once(history: bool) -> None:
    async with open_call(clerk(greeting="Hello.", greeting_waits=True, history=history)) as call:
        assert await said(call) == ["Hello.", "yes False", "Hello.", "yes False", "yes True", "yes False"]


async def test_only_the_first_messages_of_each_session_are_checked_for_voicemail() -> None:
    voice = clerk(voicemail=Voicemail("Call us back.", phrases=["beep beep"]))
    async with open_call(voice) as call:
        await said(call, ("s1", "s2") * FIRST_MESSAGES)
        call.session_id = "s1"
        assert (await call.say("beep beep")).spoken == "beep beep False"
        call.session_id = "s3"
        assert (await call.say("beep beep")).spoken == "Call us back."


async def test_the_state_keeps_the_newest_sessions() -> None:
    store, sessions = MemoryStore(), tuple(f"s{number}" for number in range(MOST_SESSIONS + 5))
    voice = clerk(greeting="Hello.", greeting_waits=True, remember=lambda turn: f"caller of {turn.session_id}")
    async with open_call(voice, store=store) as call:
        assert await said(call, sessions) == ["Hello."] * len(sessions)
        state = (await store.conversation(call.conversation_id)).state
    assert {key for key in state if "layercode" in key} == {CALLERS, GREETED, RESUMED}
    assert all(list(values_in(str(state[key]))) == list(sessions[5:]) for key in (CALLERS, GREETED, RESUMED))
    assert [caller_in(state, session)[1] for session in sessions[4:6]] == ["", f"caller of {sessions[5]}"]


@pytest.mark.parametrize("later", ["call-1", "clerk", "yes", "message", "s-1", "s"])
async def test_a_session_id_may_equal_any_other_text_of_the_turn_before(later: str, tmp_path: Path) -> None:
    store = create_store(f"sqlite:///{tmp_path}/journal.sqlite3")
    async with open_call(clerk(history=True), store=store) as call:
        call.conversation_id = "call-1"
        assert await said(call, ("s-1", "s-1")) == ["yes False"] * 2
        call.session_id = later
        assert (await call.say("yes")).spoken == f"yes {later != 's-1'}"


def test_what_earlier_releases_kept_counts() -> None:
    assert values_in("session 1") == {"session 1": YES}
    assert values_in("123") == {"123": YES}
    assert values_in(with_value("session 1", "s2", "3")) == {"session 1": YES, "s2": "3"}
    assert caller_in({"layercode.caller.s": "clerk ann b"}, "s") == ("clerk", "ann b")
