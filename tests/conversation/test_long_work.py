"""Long work: fillers of a tool, progress, no long silence, and no second run of an identical call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from layercode_app import Call, DeveloperError, LayerCode, Scene, ToolPolicy, Turn, VoiceAgent
from layercode_app.conversation.fillers import Filler, Fillers
from layercode_app.conversation.live import LiveTurn
from layercode_app.conversation.playback import say_progress
from layercode_app.journal.record import TTS, Kind, ToolCall, TurnRecord
from layercode_app.testing import open_call, scripted

from ..calling import calling, settings
from ..priced import records

pytestmark = pytest.mark.anyio


class Clocked(LiveTurn):
    """A turn whose clock stands still at `now`, in milliseconds. A test moves it."""

    now = 0.0

    def elapsed_ms(self) -> float:
        return self.now

    @property
    def words(self) -> list[tuple[float, str]]:
        return [(frame.at_ms / 1000, frame.content.strip()) for frame in self.frames if frame.type == TTS]


def a_turn() -> Clocked:
    return Clocked(TurnRecord("c", "t", Kind.MESSAGE, "a"), 0.0)


def fill(fillers: Fillers, live: Clocked, *, until: float) -> None:
    """Let the clock run to this second, and speak the fillers that fall due."""
    while (due := fillers.due()) is not None and due <= until * 1000:
        live.now = due
        fillers._wake()
        fillers.stop()
    live.now = until * 1000


# --- no long silence


async def test_a_tool_of_12_seconds_and_a_model_of_3_leave_no_gap_over_filler_every() -> None:
    live = a_turn()
    filler = Filler(("One moment.", "Still looking.", "Nearly there.", "Thanks."), 1.5, 3.0, {"look": ("Let me see.",)})
    fillers = Fillers(live, filler, filler.texts or ())
    call = ToolCall("1", "look", {}, 0.0)
    live.record.tools.append(call)
    fill(fillers, live, until=12)
    call.status = "done"
    fill(fillers, live, until=15)
    live.speak("It is 42.", "model")
    times = [0.0, *(second for second, _ in live.words)]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 3.0
    assert [text for _, text in live.words][:2] == ["Let me see.", "One moment."]
    assert len({text for _, text in live.words}) == len(live.words)


async def test_a_whole_turn_is_covered_while_its_tool_and_its_model_are_slow(tmp_path: Path) -> None:
    voice = clerk(
        look=2.6, think=0.6, filler=["One moment.", "Still looking.", "Thanks."], filler_after=0.5, filler_every=1.0
    )
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("hello")
        (record,) = await records(app)
    times = [0.0, *(frame.at_ms / 1000 for frame in record.frames if frame.type == TTS)]
    assert reply.spoken.startswith("One moment. Still looking. ")
    assert reply.spoken.endswith("It is 42.")
    assert reply.spoken.count("Let me see.") == 1
    # Fillers are one second apart. A busy machine may delay a filler a little, but without a filler, the gap would be
    # two seconds.
    assert max(later - earlier for earlier, later in pairwise(times)) < 1.9


def clerk(*, look: float, think: float = 0.0, **options: Any) -> VoiceAgent[Any, Any]:
    """Return an agent that calls a tool, waits `think` seconds, and answers.

    The tool takes `look` seconds, and reports progress at its end.
    """

    async def model(messages: list[Any], info: Any) -> Any:
        if len(messages) == 1:
            yield {1: DeltaToolCall("look", "{}", tool_call_id="call-1")}
        else:
            await asyncio.sleep(think)
            yield "It is 42."

    agent = Agent(FunctionModel(stream_function=model), deps_type=Turn)

    @agent.tool(name="look")
    async def look_it_up(ctx: RunContext[Turn]) -> int:
        await asyncio.sleep(look)
        ctx.deps.progress("Let me see.")
        ctx.deps.progress("Let me see.")
        return 42

    return VoiceAgent("clerk", agent, **options)


# --- a tool's own words


async def test_a_tools_text_is_spoken_offline_and_without_other_fillers(tmp_path: Path) -> None:
    agent = Agent(deps_type=Turn)
    policy = ToolPolicy(filler="Let me look that up.")
    voice = VoiceAgent("clerk", agent, filler=False, filler_after=0.05, tools={"look": policy})

    @agent.tool
    async def look(ctx: RunContext[Turn]) -> int:
        while not ctx.deps.live.frames:
            await asyncio.sleep(0.005)
        return 42

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        if scene.results:
            yield f"It is {scene.results['look']}."
        else:
            yield Call("look")

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("hello")).spoken == "Let me look that up. It is 42."


async def test_the_text_of_a_tool_that_does_not_run_is_not_spoken() -> None:
    live = a_turn()
    fillers = Fillers(live, Filler((), tools={"look": ("Let me see.",)}), ())
    live.record.tools.append(ToolCall("1", "look", {}, 0.0, 5.0, "done"))
    assert fillers.due() is None
    live.record.tools.append(ToolCall("2", "look", {}, 9.0))
    assert fillers.due() == 1_500


async def test_used_up_texts_are_one_warning(warned: list[str]) -> None:
    live = a_turn()
    fillers = Fillers(live, Filler(("One moment.",)), ["One moment."])
    for now in (1_500, 5_000):
        live.now = now
        fillers._wake()
        fillers.stop()
    assert [text for _, text in live.words] == ["One moment."]
    assert ["used up" in line for line in warned] == [True]


@pytest.mark.parametrize("policy", ["finish", ToolPolicy(interruption="finish")])
def test_a_text_is_the_policy_of_an_interruption(policy: str | ToolPolicy) -> None:
    assert VoiceAgent("a", tools={"look": policy}).tools == {"look": ToolPolicy(interruption="finish")}


def test_wrong_policies_are_refused() -> None:
    with pytest.raises(DeveloperError, match=r"interruption='stop': expected one of cancel, finish, finish_and_tell"):
        ToolPolicy(interruption="stop")
    with pytest.raises(DeveloperError, match=r"ToolPolicy filler=7: expected a text"):
        ToolPolicy(filler=7)  # type: ignore[arg-type]
    with pytest.raises(DeveloperError, match=r"tools\['look'\]='stop': expected one of .*, or a ToolPolicy"):
        VoiceAgent("a", tools={"look": "stop"})


# --- progress


async def test_progress_is_dropped_if_it_would_be_heard_late_or_after_the_reply() -> None:
    live = a_turn()
    for text in ("A quarter is done.", " ", "Half is done, and the rest follows.", "Three quarters are done."):
        say_progress(live, text)
    assert [text for _, text in live.words] == ["A quarter is done.", "Half is done, and the rest follows."]
    live.now = 5_000
    live.run.answered = True
    say_progress(live, "All is done.")
    assert len(live.words) == 2


# --- a call that is running


def caller_of_two(args: tuple[str, str], **options: Any) -> tuple[VoiceAgent[Any, Any], list[Any], list[str]]:
    """Return an agent that calls one tool twice in one response, with these arguments.

    Also return the messages of its model requests, and the arguments of the calls that were started.
    """
    seen: list[Any] = []
    started: list[str] = []

    async def model(messages: list[Any], info: Any) -> Any:
        seen.append(messages)
        if len(messages) == 1:
            for number, place in enumerate(args):
                yield {number: DeltaToolCall("book", f'{{"place": "{place}"}}', tool_call_id=f"call-{number}")}
        else:
            yield "Done."

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool_plain
    async def book(place: str) -> str:
        started.append(place)
        await asyncio.sleep(options.get("takes", 0.05))
        if place == "nowhere":
            raise RuntimeError("no such place")
        return f"{place} {len(started)}"

    given = {name: value for name, value in options.items() if name != "takes"}
    return VoiceAgent("booker", agent, **given), seen, started


@pytest.mark.parametrize("policy", ["cancel", "finish"])
async def test_the_same_call_of_one_response_runs_once(policy: str, tmp_path: Path) -> None:
    voice, seen, started = caller_of_two(("hall", "hall"), tools={"book": policy})
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await caller.say("hello")).spoken == "Done."
        (record,) = await records(app)
    returned = [part.content for part in seen[-1][-1].parts if isinstance(part, ToolReturnPart)]
    assert (started, returned) == (["hall"], ["hall 1", "hall 1"])
    assert [(call.status, call.result) for call in record.tools] == [("done", "hall 1")] * 2


async def test_a_fast_call_runs_once_in_a_response_and_again_in_a_later_one() -> None:
    voice, started = VoiceAgent("booker", agent := Agent()), list[str]()

    @agent.tool_plain
    async def book(place: str) -> str:
        started.append(place)
        return "booked"

    again = Call("book", {"place": "hall"})
    async with open_call(voice, model=scripted([again, again], again, "Done.")) as call:
        await call.say("hello")
    assert started == ["hall", "hall"]


async def test_calls_with_other_arguments_run_beside_each_other(tmp_path: Path) -> None:
    voice, _, started = caller_of_two(("hall", "room"))
    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        await caller.say("hello")
    assert sorted(started) == ["hall", "room"]


async def test_both_calls_fail_or_time_out_together(tmp_path: Path) -> None:
    voice, _, started = caller_of_two(("nowhere", "nowhere"), tool_apology="Sorry!")
    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("hello")).spoken == "Sorry!"
    slow, seen, once = caller_of_two(("hall", "hall"), takes=3600, tool_timeout=0.1)
    async with calling(LayerCode(slow, settings=settings(tmp_path))) as caller:
        assert (await caller.say("hello")).spoken == "Done."
    assert (started, once) == (["nowhere"], ["hall"])
    assert ["took longer" in part.content for part in seen[-1][-1].parts] == [True, True]
