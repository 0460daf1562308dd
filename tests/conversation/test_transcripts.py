"""The platform's transcript of a session is matched to the turns of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, SessionEnd, Turn, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.conversation.transcripts import shortened
from layercode_app.jobs import late_saves
from layercode_app.journal.record import Kind, Speech, Status, TurnRecord
from layercode_app.journal.stores.sqlite import SQLiteStore
from layercode_app.server import app as app_module

from ..calling import Caller, calling, settings
from .outage import Outage
from .shop import ended, until


def turn(turn_id: str, spoken: str, heard: str | None = None) -> TurnRecord:
    return TurnRecord("c", turn_id, Kind.MESSAGE, "a", speech=[Speech("model", 0, spoken)], heard_text=heard)


TURNS = [turn("1", "one two three"), turn("2", "four five six", heard="four"), turn("3", "seven eight nine")]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["one two three", "four five six", "seven eight nine"], []),
        (["one", "four", "seven eight"], [("1", "one"), ("3", "seven eight")]),
        # A line with another spelling matches no turn. It is skipped, and the later lines are still matched.
        (["1 2", "seven"], [("3", "seven")]),
        (["seven", "one"], [("3", "seven")]),
        ([], []),
    ],
)
def test_lines_are_matched_in_order_and_odd_ones_are_passed_over(said: list[str], found: list[tuple[str, str]]) -> None:
    assert [(record.turn_id, line) for record, line in shortened(TURNS, said)] == found


class Teller:
    """An agent that tells a story in two parts, and records the ends of its sessions.

    It tells the second part when the test sets `go_on`.
    """

    def __init__(self, tmp_path: Path) -> None:
        self.told, self.go_on = asyncio.Event(), asyncio.Event()
        self.ends: list[SessionEnd] = []
        self.spoken: list[str] = []
        voice = VoiceAgent("teller")
        voice.on_message(self._tell)
        voice.on_session_end(self._note)
        self.app = LayerCode(voice, settings=settings(tmp_path))

    async def _tell(self, turn: Turn) -> AsyncIterator[str]:
        yield "It is a long "
        self.told.set()
        await self.go_on.wait()
        yield "story about a fox."

    async def _note(self, event: SessionEnd) -> None:
        record = await self.app.store.get(event.conversation_id, "t")
        self.spoken.append(record.spoken_text if record else "")
        self.ends.append(event)

    async def noted(self) -> bool:
        return bool(self.ends)


@pytest.fixture
def teller(tmp_path: Path) -> Teller:
    return Teller(tmp_path)


def end(*heard: str) -> dict[str, Any]:
    said = [{"role": "assistant", "text": text, "timestamp": "2026-01-01T00:00:00Z"} for text in heard]
    asked = {"role": "user", "text": "tell me", "timestamp": 1_700_000_000_000}
    return {"type": "session.end", "duration": 1200, "transcript": [asked, *said]}


@pytest.mark.anyio
async def test_the_end_of_a_session_corrects_what_was_not_played_and_runs_its_hook_once(teller: Teller) -> None:
    teller.go_on.set()
    async with calling(teller.app) as caller:
        await caller.say("tell me", turn_id="t")
        await caller.send(end("It is a long"))
        await caller.send(end("It is a long"))
        await until(teller.noted)
        await asyncio.sleep(0.1)
        record = await ended(teller.app, caller, "t")
    assert (record.status, record.heard_text) == ("interrupted", "It is a long")
    assert len(teller.ends) == 1
    assert teller.ends[0].transcript[0].text == "tell me"


@pytest.mark.anyio
@pytest.mark.parametrize("heard", [[], ["It is a"]])
async def test_the_end_of_a_session_waits_for_its_turn_and_corrects_it(heard: list[str], teller: Teller) -> None:
    async with calling(teller.app) as caller:
        telling = asyncio.create_task(caller.say("tell me", turn_id="t"))
        await teller.told.wait()
        ending = asyncio.create_task(caller.send(end(*heard)))
        await until(lambda: teller.app.store.get(caller.conversation_id, f"session.end-{caller.session_id}-"))
        teller.go_on.set()
        assert (await telling).spoken == "It is a long story about a fox."
        await ending
        await until(teller.noted)
        record = await ended(teller.app, caller, "t")
    assert teller.spoken == ["It is a long story about a fox."]
    assert record.heard == (heard[0] if heard else teller.spoken[0])


@pytest.mark.anyio
async def test_a_turn_that_ends_long_after_its_session_is_still_corrected(
    teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.05)
    async with calling(teller.app) as caller:
        telling = asyncio.create_task(caller.say("tell me", turn_id="t"))
        await teller.told.wait()
        await caller.send(end("It is a"))
        teller.go_on.set()
        await telling

        async def corrected() -> bool:
            return (await ended(teller.app, caller, "t")).heard == "It is a"

        await until(corrected)


@pytest.mark.anyio
async def test_a_turn_of_another_worker_does_not_delay_the_stop_and_is_corrected_later(
    teller: Teller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.05)
    monkeypatch.setattr(app_module, "DRAIN_SECONDS", 30.0)
    other = SQLiteStore(tmp_path / "journal.sqlite3")
    async with calling(teller.app) as caller:
        await other.open()
        running = TurnRecord(caller.conversation_id, "t", Kind.MESSAGE, "teller", session_id=caller.session_id)
        await other.begin(running, history_tokens=0)
        await caller.send(end("It is a"))
        async with asyncio.timeout(20):
            await teller.app.stop()
        running.speech, running.status = [Speech("say", 0, "It is a long story.")], Status.COMPLETE
        await other.save(running)
    await other.close()
    assert await _corrected(tmp_path, caller) == "It is a"


@pytest.mark.anyio
async def test_a_turn_that_ends_at_shutdown_is_corrected_after_a_restart(
    teller: Teller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.05)
    async with calling(teller.app) as caller:
        telling = asyncio.create_task(caller.say("tell me", turn_id="t"))
        await teller.told.wait()
        await caller.send(end("It is"))
        await teller.app.stop()
        await telling
    assert await _corrected(tmp_path, caller) == "It is"


async def _corrected(tmp_path: Path, caller: Caller) -> str:
    """Start a new worker, wait until it has corrected turn `t`, and return what was heard of the turn."""
    app = Teller(tmp_path).app
    async with calling(app):

        async def heard() -> str | None:
            record = await app.store.get(caller.conversation_id, "t")
            return record.heard_text if record else None

        return str(await until(heard))


@pytest.mark.anyio
async def test_a_turn_whose_save_is_pending_is_corrected(teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_saves, "PAUSES", (60.0,))
    teller.go_on.set()
    outage = Outage(teller.app)
    async with calling(teller.app) as caller:
        await caller.say("tell me", turn_id="t")
        await caller.send(end("It is a"))
        outage.over = True
        await teller.app.turns.late.hurry(caller.conversation_id)
        record = await ended(teller.app, caller, "t")
    assert (record.status, record.heard) == ("interrupted", "It is a")
