"""If a turn ends during an outage of the journal, later turns and duplicates still see its speech and state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from layercode_app import Data, LayerCode, Turn, VoiceAgent
from layercode_app.jobs import late_saves

from ..calling import Caller, calling, settings
from .outage import Outage

pytestmark = pytest.mark.anyio


class Counted(BaseModel):
    turns: int = 0


class Parrot:
    """An agent that repeats the caller's words and counts its turns.

    Two workers run it on one journal. Until `outage.over` is set, the journal cannot save a turn that has ended.
    """

    def __init__(self, tmp_path: Path) -> None:
        self.told: list[list[str]] = []
        voice = VoiceAgent("parrot", state=Counted, history=True)

        @voice.on_message
        async def answer(turn: Turn[Counted]) -> str:
            turn.state.turns += 1
            self.told.append([past.spoken_text for past in turn.past])
            return f"{turn.text} {turn.state.turns}"

        @voice.on_data
        async def count(turn: Turn[Counted], event: Data) -> Any:
            return {"turns": turn.state.turns}

        self.apps = [LayerCode(voice, settings=settings(tmp_path)) for _ in range(2)]
        self.outage = Outage(*self.apps)


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parrot:
    monkeypatch.setattr(late_saves, "PAUSES", (60.0,))
    return Parrot(tmp_path)


@pytest.fixture
async def callers(parrot: Parrot) -> AsyncIterator[list[Caller]]:
    """Two callers in one conversation, one at each worker. The first turn of the conversation could not be saved."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(app)) for app in parrot.apps]
        callers[1].conversation_id = callers[0].conversation_id
        assert (await callers[0].say("one", turn_id="t1")).spoken == "one 1"
        yield callers
        parrot.outage.over = True


@pytest.mark.parametrize("worker", [0, 1])
async def test_the_next_turn_knows_the_reply_and_the_state(parrot: Parrot, callers: list[Caller], worker: int) -> None:
    parrot.outage.over = True
    assert (await callers[worker].say("two")).spoken == "two 2"
    assert parrot.told == [[], ["one 1"]]
    kept = await parrot.apps[0].store.conversation(callers[0].conversation_id)
    assert kept.state == {"turns": 2}


async def test_the_next_turn_knows_both_if_the_save_fails_once_more(parrot: Parrot, callers: list[Caller]) -> None:
    parrot.outage.saves_left = 1
    assert (await callers[0].say("two")).spoken == "two 2"
    assert parrot.told == [[], ["one 1"]]
    kept = await parrot.apps[0].store.conversation(callers[0].conversation_id)
    assert kept.state == {"turns": 2}


@pytest.mark.parametrize(("worker", "over"), [(0, False), (0, True), (1, True)])
async def test_a_duplicate_hears_the_same_and_runs_nothing(
    parrot: Parrot, callers: list[Caller], worker: int, over: bool
) -> None:
    parrot.outage.over = over
    reply = await callers[worker].say("one", turn_id="t1")
    assert (reply.spoken, reply.types[-1]) == ("one 1", "response.end")
    assert parrot.told == [[]]


async def test_the_page_is_shown_the_state(parrot: Parrot, callers: list[Caller]) -> None:
    parrot.outage.over = True
    assert (await callers[0].send({"type": "data", "data": {}})).json == {"turns": 1}


@pytest.mark.parametrize("over", [True, False])
async def test_the_server_that_goes_down_tries_once_more_and_names_what_is_lost(
    parrot: Parrot, over: bool, warned: list[str]
) -> None:
    first, second = parrot.apps
    async with calling(first) as caller:
        await caller.say("one", turn_id="t1")
        parrot.outage.over = over
    await second.store.open()
    record = await second.store.get(caller.conversation_id, "t1")
    await second.store.close()
    assert record is not None
    assert record.finished == over
    assert any("Turn t1 is lost" in line for line in warned) == (not over)
