"""Turns in a store are begun once, saved only by their owner, and read back complete and in order."""

from __future__ import annotations

import asyncio
import copy
import time
from typing import Any

import pytest

from layercode_app.journal.record import Frame, Kind, Speech, Status, ToolCall, TurnRecord
from layercode_app.journal.stores.base import LEAST_TOKENS, Store

from .conftest import Open
from .records import PLENTY, add, begin, ended, turn

pytestmark = pytest.mark.anyio

NASTY = "Grüße 你好 🙂 \x00 \u2028 \"quotes\" {braces} 'single' \\ back"


async def test_a_turn_is_new_then_running_then_finished(store: Store) -> None:
    first = await begin(store, turn("c", "t", user_text="hello"))
    again = await begin(store, turn("c", "t", user_text="other"))
    await store.save(ended(first.record, "hi"))
    late = await begin(store, turn("c", "t"))

    assert [first.outcome, again.outcome, late.outcome] == ["new", "running", "finished"]
    assert first.record.owner == store.owner
    assert again.record.user_text == late.record.user_text == "hello"
    assert again.record.owner == store.owner
    assert late.record.frames == [Frame("response.tts", "hi", 1.5), Frame("response.end", None, 2.5)]
    assert late.record.position == first.record.position > 0


async def test_of_many_deliveries_at_once_one_is_new(store: Store) -> None:
    begun = await asyncio.gather(*[begin(store, turn("c", "t")) for _ in range(30)])
    assert sorted(b.outcome for b in begun) == ["new"] + ["running"] * 29


async def test_the_same_turn_id_in_another_conversation_is_another_turn(store: Store) -> None:
    assert (await begin(store, turn("c1", "t"))).outcome == "new"
    assert (await begin(store, turn("c2", "t"))).outcome == "new"


async def test_a_record_comes_back_as_it_was_saved(store: Store) -> None:
    record = turn(f"c {{{NASTY}}}", f"t {NASTY}", user_text=NASTY, event={"text": NASTY, "n": [1, None, 2.5]})
    await begin(store, record)
    record.tools = [ToolCall("1", "weather", {"city": NASTY}, 1.0, 2.0, "done", {"sun": True})]
    record.messages = NASTY.encode()
    record.metadata, record.outcomes, record.scores = {"user": NASTY}, [{"name": "booked"}], {"nice": {"value": 1}}
    record.cost, record.usage, record.heard_text, record.notes = 0.25, {"input": 3}, "hi", [NASTY]
    await store.save(ended(record, NASTY))

    assert await store.get(*record.key) == record


async def test_a_stored_turn_does_not_change_with_the_object_that_was_saved(store: Store) -> None:
    record = await add(store, turn("c", "t"))
    record.notes.append("later")
    record.frames.clear()
    read = await store.get("c", "t")
    assert read is not None
    assert (read.notes, len(read.frames)) == ([], 2)
    read.notes.append("mine")
    assert (await store.get("c", "t") or read).notes == []


async def test_an_unknown_turn_is_none_and_cannot_be_changed(store: Store) -> None:
    assert await store.get("c", "t") is None
    assert await store.update("c", "t", lambda record: None) is None
    await store.save(turn("c", "t"))
    assert await store.get("c", "t") is None


async def test_a_big_record_and_a_big_integer_survive(store: Store) -> None:
    record = turn("c", "t", user_text="x" * 900_000, event={"n": 1 << 70})
    await begin(store, record)
    record.messages = b"y" * 3_000_000
    await store.save(ended(record, "z" * 500_000))
    read = await store.get("c", "t")
    assert read is not None
    assert (len(read.user_text), len(read.messages), len(read.spoken_text)) == (900_000, 3_000_000, 500_000)


# --- fencing


async def test_exactly_one_claims_a_turn_and_the_former_owner_cannot_save(store: Store) -> None:
    lost = (await begin(store, turn("c", "t"))).record
    views = [await store.get("c", "t") for _ in range(10)]
    claimed = await asyncio.gather(*[store.claim(view) for view in views if view])

    assert sorted(claimed) == [False] * 9 + [True]
    winner = views[claimed.index(True)]
    assert winner is not None
    assert (winner.owner, winner.attempt) == (store.owner, 2)
    stored = await store.get("c", "t")
    assert stored is not None
    assert stored.attempt == 2
    lost.owner = "a worker that was thought dead"
    await store.save(ended(lost, "zombie"), state={"by": "zombie"})
    assert (await store.get("c", "t") or lost).status is Status.RUNNING
    assert (await store.conversation("c")).state == {}
    await store.save(ended(winner, "winner"), state={"by": "winner"})
    assert (await store.get("c", "t") or lost).spoken_text == "winner"
    assert (await store.conversation("c")).state == {"by": "winner"}


async def test_a_claim_brings_what_the_former_owner_had_written_last(store: Store) -> None:
    record = (await begin(store, turn("c", "t"))).record
    early = await store.get("c", "t")
    record.tools = [ToolCall("1", "pay", {}, 1.0)]
    await store.save(record)
    assert early is not None
    assert await store.claim(early)
    assert [call.name for call in early.tools] == ["pay"]


async def test_a_finished_or_unknown_turn_cannot_be_claimed(store: Store) -> None:
    done = await add(store, turn("c", "t"))
    assert not await store.claim(done)
    assert not await store.claim(turn("c", "unknown"))


async def test_a_turn_that_has_ended_is_not_saved_as_running_again(store: Store) -> None:
    """If the reply to a save is lost, the save can be sent again, and reach the store after the end of the turn.

    The late save must change neither the turn nor the conversation's state.
    """
    record = (await begin(store, turn("c", "t"))).record
    late = copy.deepcopy(record)
    late.speech, late.notes = [Speech("model", 0, "h")], ["late"]
    await store.save(ended(record))
    await store.save(late, state={"late": 1})
    stored = await store.get("c", "t")
    assert stored is not None
    assert (stored.status, stored.spoken_text, stored.notes) == (Status.COMPLETE, "hi", [])
    assert (await store.conversation("c")).state == {}


async def test_saves_of_a_turn_are_kept_in_their_order(store: Store) -> None:
    """A small save does not overtake the big save before it, not even if it is sent on another connection."""
    record = (await begin(store, turn("c", "t"))).record
    for number in range(20):
        record.notes = ["x" * 1_000_000]
        early = asyncio.ensure_future(store.save(record, state={"number": number}))
        for _ in range(1 + number % 5):  # The big save begins, and is sent before the small one or together with it.
            await asyncio.sleep(0)
        record.notes = [f"small {number}"]
        await store.save(record, state={"number": number + 0.5})
        await early
        stored = await store.get("c", "t")
        assert stored is not None
        assert stored.notes == [f"small {number}"]
        assert (await store.conversation("c")).state == {"number": number + 0.5}


async def test_changes_at_once_are_all_kept(store: Store) -> None:
    await add(store, turn("c", "t"))

    async def note(text: str) -> None:
        await store.update("c", "t", lambda record: record.notes.append(text))

    await asyncio.gather(*[note(str(number)) for number in range(20)])
    changed = await store.update("c", "t", lambda record: setattr(record, "heard_text", "h"))
    assert changed is not None
    assert sorted(changed.notes, key=int) == [str(number) for number in range(20)]
    assert await store.get("c", "t") == changed


async def test_a_change_that_the_end_overtakes_is_made_to_the_ended_turn(
    worker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker reads the turn, then the owner ends it, and then the other worker saves its change."""
    owner, other = await worker(), await worker()
    record = (await begin(owner, turn("c", "t"))).record
    # The store for SQLite has no `_save`, because it reads and saves a changed turn in one step.
    save = getattr(other, "_save", None)

    async def end_first(*given: Any) -> Any:
        assert save is not None
        monkeypatch.setattr(other, "_save", save)
        await owner.save(ended(record))
        return await save(*given)

    if save is None:
        await owner.save(ended(record))
    else:
        monkeypatch.setattr(other, "_save", end_first)
    changed = await other.update("c", "t", lambda found: found.notes.append("late"))
    stored = await owner.get("c", "t")
    assert stored == changed
    assert stored is not None
    assert (stored.status, stored.spoken_text, stored.notes) == (Status.COMPLETE, "hi", ["late"])


async def test_an_error_in_a_change_reaches_its_caller_and_harms_nobody_else(store: Store) -> None:
    await add(store, turn("c", "t"))

    def fail(record: TurnRecord) -> None:
        record.notes.append("half")
        raise LookupError("mine")

    results = await asyncio.gather(
        store.update("c", "t", fail), begin(store, turn("c", "u")), begin(store, turn("c", "v")), return_exceptions=True
    )
    assert isinstance(results[0], LookupError)
    assert [getattr(result, "outcome", None) for result in results[1:]] == ["new", "new"]
    assert (await store.get("c", "t") or turn()).notes == []


# --- history


async def test_history_is_the_newest_turns_in_order_without_frames(store: Store) -> None:
    for number in range(5):
        await add(store, turn("c", f"t{number}", messages=b"m"))
        await add(store, turn("elsewhere"))
    begun = await begin(store, turn("c", "now"), 3 * LEAST_TOKENS)

    assert [past.turn_id for past in begun.history] == ["t2", "t3", "t4"]
    assert all(past.frames == [] and past.messages == b"m" for past in begun.history)
    assert begun.history[-1].turn_id == "t4"
    assert [past.turn_id for past in begun.history[1:]] == ["t3", "t4"]
    again = await store.history("c", tokens=2 * LEAST_TOKENS, before=begun.record.position)
    assert [past.turn_id for past in again] == ["t3", "t4"]
    everything = await store.history("c", tokens=PLENTY)
    assert [past.turn_id for past in everything] == ["t0", "t1", "t2", "t3", "t4", "now"]


async def test_history_has_one_turn_whatever_it_takes_and_stops_before_the_budget_breaks(store: Store) -> None:
    await add(store, turn("c", "small"))
    await add(store, turn("c", "big", messages=b"m" * 40_000))
    await add(store, turn("c", "last"))
    assert [past.turn_id for past in await store.history("c", tokens=0)] == ["last"]
    assert [past.turn_id for past in await store.history("c", tokens=5_000)] == ["last"]
    assert [past.turn_id for past in await store.history("c", tokens=10_000 + LEAST_TOKENS)] == ["big", "last"]
    assert await store.history("nobody", tokens=100) == []


async def test_data_and_session_records_are_no_history(store: Store) -> None:
    await add(store, turn("c", "g", kind=Kind.GREETING))
    await add(store, turn("c", "d", kind=Kind.DATA))
    await add(store, turn("c", "s", kind=Kind.SESSION))
    assert [past.turn_id for past in await store.history("c", tokens=PLENTY)] == ["g"]


async def test_a_turn_that_still_runs_is_displaced_by_the_next(store: Store) -> None:
    await add(store, turn("c", "done"))
    await begin(store, turn("c", "running"))
    await begin(store, turn("c", "data", kind=Kind.DATA))
    begun = await begin(store, turn("c", "next"))
    assert [(t.turn_id, t.owner, t.status) for t in begun.displaced] == [("running", store.owner, Status.RUNNING)]


async def test_what_was_corrected_is_corrected_in_history(store: Store) -> None:
    await add(store, turn("c", "t"))
    assert [past.heard_text for past in (await begin(store, turn("c", "u"))).history] == [None]
    await store.update("c", "t", lambda record: setattr(record, "heard_text", "h"))
    history = (await begin(store, turn("c", "v"))).history
    assert [past.heard_text for past in history] == ["h", None]
    history[0].notes.append("mine")
    assert (await begin(store, turn("c", "w"))).history[0].notes == []


# --- the journal as a whole


async def test_positions_rise_over_all_conversations(store: Store) -> None:
    positions = [(await begin(store, turn(f"c{number % 3}"))).record.position for number in range(30)]
    assert positions == sorted(set(positions))


@pytest.mark.slow
async def test_turns_are_paged_in_journal_order(store: Store) -> None:
    for some in range(0, 450, 50):  # on a busy machine, all at once would take longer than the store waits
        await asyncio.gather(*[add(store, turn(f"c{number % 7}", f"t{number}")) for number in range(some, some + 50)])
    everything = [record async for record in store.turns()]
    positions = [record.position for record in everything]

    assert len({record.key for record in everything}) == 450
    assert positions == sorted(positions)
    assert all(len(record.frames) == 2 for record in everything)
    backwards = [record.key async for record in store.turns(newest_first=True)]
    assert backwards == [record.key for record in everything][::-1]
    one = [record.turn_id async for record in store.turns(conversation_id="c3")]
    assert one == [record.turn_id for record in everything if record.conversation_id == "c3"]
    assert [record async for record in store.turns(conversation_id="nobody")] == []


async def test_turns_since(store: Store) -> None:
    now = time.time()
    for age in (300, 200, 100):
        await add(store, turn("c", f"t{age}", started_at=now - age))
    assert [record.turn_id async for record in store.turns(since=now - 250)] == ["t200", "t100"]
