"""Fillers: when the next one is due, which silences they cover, and which they leave alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from layercode_app import DeveloperError, LayerCode, Turn, VoiceAgent
from layercode_app.conversation.fillers import Filler, Fillers
from layercode_app.conversation.live import LiveTurn
from layercode_app.journal.record import HANGUP, TTS, Kind, Status, TurnRecord
from layercode_app.settings import load_settings

from ..calling import calling, settings
from ..priced import records

pytestmark = pytest.mark.anyio

QUICK: dict[str, Any] = {"filler_after": 0.8, "filler_every": 0.01}
"""Short delays. The first is still longer than a busy machine needs for the words that must come before a filler."""


class Clocked(LiveTurn):
    """A turn whose clock stands still at `now`, in milliseconds. A test moves it."""

    now = 0.0

    def elapsed_ms(self) -> float:
        return self.now


def a_turn() -> Clocked:
    return Clocked(TurnRecord("c", "t", Kind.MESSAGE, "a"), 0.0)


def spoken_by(fillers: Fillers, live: Clocked, *, until: float = 10**6) -> list[tuple[float, str]]:
    """Return the time in seconds and the text of each filler, if nothing else is spoken until the time `until`."""
    while (due := fillers.due()) is not None and due <= until:
        live.now = due
        fillers._wake()
        fillers.stop()
    return [(frame.at_ms / 1000, frame.content) for frame in live.frames if frame.type == TTS]


# --- when


async def test_the_default_fillers_leave_no_gap_over_4_seconds_in_the_longest_tool_call() -> None:
    live = a_turn()
    spoken = spoken_by(Fillers(live, Filler(), load_settings({}, env_file=None, toml_file=None).fillers), live)
    times = [0.0, *(second for second, _ in spoken)]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 4
    assert times[-1] > 36, "they last longer than a tool may take"
    assert len({text for _, text in spoken}) == len(spoken), "none is spoken twice"


async def test_a_long_text_is_played_before_its_silence_begins() -> None:
    live = a_turn()
    fillers = Fillers(live, Filler(("One moment.",)), ["One moment."])
    live.speak("x" * 200, "model")
    assert fillers.due() == 10_000 + 1_500
    live.now = 1_000
    live.speak("y" * 20, "model")
    assert fillers.due() == 11_000 + 1_500


async def test_white_space_is_no_speech_and_data_is_none_either() -> None:
    live = a_turn()
    fillers = Fillers(live, Filler(("One moment.",)), ["One moment."])
    live.speak("\n\n", "model")
    live.emit("response.data", {"a": 1})
    assert fillers.due() == 1_500


async def test_after_the_first_words_an_agent_without_a_model_speaks_none() -> None:
    live = a_turn()
    fillers = Fillers(live, Filler(("One moment.",), every=None), ["One moment."])
    assert fillers.due() == 1_500
    live.speak("Hello.", "say")
    assert fillers.due() is None


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("", {"ending": True}),
        ("run", {"answered": True}),
        ("hang_up", {"_asked": True}),
        ("", {"goodbye": "Bye."}),
        ("", {"stopping": Status.FAILED}),
    ],
)
async def test_a_turn_that_ends_is_not_filled(part: str, change: dict[str, Any]) -> None:
    live = a_turn()
    fillers = Fillers(live, Filler(("One moment.",)), ["One moment."])
    vars(getattr(live, part) if part else live).update(change)
    live.now = 5_000
    fillers._wake()
    assert [frame.type for frame in live.frames if frame.type != HANGUP] == []


# --- in a turn


def clerk(*, before: str = "", fillers: int = 0, **options: Any) -> VoiceAgent[Any, Any]:
    """Return an agent that says `before`, calls a tool, and says its result.

    The tool runs until `fillers` fillers were spoken.
    """

    async def model(messages: list[Any], info: Any) -> Any:
        if len(messages) == 1:
            if before:
                yield before
            yield {1: DeltaToolCall("look", "{}", tool_call_id="call-1")}
        else:
            yield "It is 42."

    agent = Agent(FunctionModel(stream_function=model), deps_type=Turn)

    @agent.tool
    async def look(ctx: RunContext[Turn]) -> int:
        already = len(ctx.deps.live.frames)
        while len(ctx.deps.live.frames) < already + fillers:
            await asyncio.sleep(0.005)
        return 42

    return VoiceAgent("clerk", agent, **(QUICK | options))


@pytest.mark.parametrize(("before", "heard"), [("", ""), ("Let me see.", "Let me see. ")])
async def test_a_slow_tool_is_covered_by_two_fillers_whether_or_not_something_was_said_before(
    before: str, heard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.conversation.playback.CHARACTERS_PER_SECOND", 10_000)
    app = LayerCode(clerk(before=before, fillers=2), settings=settings(tmp_path, filler="One moment. | Still on it."))
    async with calling(app) as caller:
        reply = await caller.say("hello")
        (record,) = await records(app)
    assert reply.spoken == record.spoken_text == f"{heard}One moment. Still on it. It is 42."
    assert (record.status, record.impact) == ("complete", "filler")


async def test_a_filler_is_not_spoken_after_the_whole_reply(tmp_path: Path) -> None:
    async def guard(turn: Turn) -> None:
        while not turn.live.run.answered:
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)

    app = LayerCode(clerk(guard=guard, filler="One moment."), settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await caller.say("hello")).spoken.endswith("It is 42.")


@pytest.mark.parametrize("off", [{"filler": False}, {"filler": ""}, {"filler": " "}, {"filler": []}])
async def test_a_filler_can_be_turned_off(off: dict[str, Any], tmp_path: Path) -> None:
    voice = VoiceAgent("clerk", Agent(FunctionModel(stream_function=_slow)), filler_after=0.01, **off)
    async with calling(LayerCode(voice, settings=settings(tmp_path, filler="One moment."))) as caller:
        assert (await caller.say("hello")).spoken == "It is 42."


async def _slow(messages: Any, info: Any) -> AsyncIterator[str]:
    await asyncio.sleep(0.1)
    yield "It is 42."


async def test_the_offline_script_needs_no_default_filler_and_says_its_own() -> None:
    assert VoiceAgent("offline", Agent()).filler is None
    assert VoiceAgent("offline", Agent(), filler="One moment.").filler == Filler(("One moment.",))
    assert VoiceAgent("hook").filler is None
    assert VoiceAgent("hook", filler="Wait.").filler == Filler(("Wait.",), every=None)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(DeveloperError, match=r"filler=7: expected a text, a list of texts, or False"):
        VoiceAgent("odd", Agent(), filler=7)  # type: ignore[call-overload]


def test_the_setting_is_a_list_or_off() -> None:
    def fillers(text: str) -> tuple[str, ...]:
        return load_settings({"filler": text}, env_file=None, toml_file=None).fillers

    assert fillers("Eins. | Zwei. |") == ("Eins.", "Zwei.")
    assert fillers(" OFF ") == ()
