"""Each turn's record carries the cost of the conversation so far, and the sum is right in every store.

To find the sum, a turn reads only a limited number of earlier turns, however long the call is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import LEAST_TOKENS, Store
from layercode_app.watch.spending import cost_and_tokens, spent_before

from ..calling import Caller, calling, settings
from ..journals import STORES, journal_url
from ..priced import priced_agent, records

pytestmark = pytest.mark.anyio


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


@asynccontextmanager
async def call(
    url: str, folder: Path, *, budget: str = "$1000", store: Store | None = None
) -> AsyncIterator[tuple[LayerCode, Caller]]:
    given = settings(folder, budget_conversation=budget, history_tokens=300, store=url)
    app = LayerCode(priced_agent(), settings=given, store=store)
    async with calling(app) as caller:
        caller.conversation_id = "the-call"
        yield app, caller


def assert_carried(journal: list[TurnRecord]) -> None:
    """Check that the record of each message holds the cost and the tokens of all earlier turns."""
    cost = tokens = 0.0
    for turn in journal:
        if turn.kind is Kind.MESSAGE:
            assert turn.spent_before == {"cost": pytest.approx(cost), "tokens": tokens}, turn.turn_id
        one, more = cost_and_tokens(turn)
        cost, tokens = cost + one, tokens + more
    assert cost > 0


async def test_a_long_call_reads_no_more_of_the_past_than_a_short_one(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    async with call(url, tmp_path) as (app, caller):
        history, turns = app.store.history, app.store.turns

        async def counted_history(*args: Any, **options: Any) -> Any:
            nonlocal read
            found = await history(*args, **options)
            read += len(found)
            return found

        async def counted_turns(**options: Any) -> AsyncIterator[TurnRecord]:
            nonlocal read
            async for turn in turns(**options):
                read += 1
                yield turn

        monkeypatch.setattr(app.store, "history", counted_history)
        monkeypatch.setattr(app.store, "turns", counted_turns)
        reads = []
        for _ in range(30):
            read = 0
            assert (await caller.say("hello")).spoken == "That is done."
            reads.append(read)
        monkeypatch.undo()
        assert_carried(await records(app))
    # To begin a turn, some stores call `history` themselves. These reads count too, but stay within the budget.
    assert max(reads) <= 300 // LEAST_TOKENS, "no more than the turns that fit the budget of history"


async def test_it_goes_on_after_greetings_interruptions_and_failures(url: str, tmp_path: Path) -> None:
    async with call(url, tmp_path) as (app, caller):
        for number in range(3):
            await caller.send({"type": "session.start", "turn_id": f"greeting-{number}"})
            for text in ("fail", "book a table", "hello"):
                await caller.say(text)
            context = {"previous_turn_interrupted": True, "text_heard": "That"}
            await caller.say("hello", interruption_context=context)
        journal = await records(app)
    assert {turn.status for turn in journal} == {Status.COMPLETE, Status.FAILED, Status.INTERRUPTED}
    assert_carried(journal)


async def test_a_budget_that_is_set_late_counts_what_was_spent_before(url: str, tmp_path: Path) -> None:
    async with call(url, tmp_path, budget="") as (app, caller):
        for _ in range(40):
            await caller.say("hello")
        store = app.store if url == "memory" else None
        assert [turn.spent_before for turn in await records(app)] == [None] * 40
    async with call(url, tmp_path, store=store) as (app, caller):
        await caller.say("hello")
        *_, newest = await records(app)
        await caller.say("hello")
        journal = await records(app)
    assert newest.spent_before is not None
    assert newest.spent_before["tokens"] == sum(cost_and_tokens(turn)[1] for turn in journal[:40])
    assert journal[41].spent_before == {
        "cost": pytest.approx(sum(cost_and_tokens(turn)[0] for turn in journal[:41])),
        "tokens": sum(cost_and_tokens(turn)[1] for turn in journal[:41]),
    }


async def test_workers_of_one_journal_carry_it_on_for_each_other(url: str, tmp_path: Path) -> None:
    if url == "memory":
        pytest.skip("a journal in memory has only one worker")
    async with call(url, tmp_path) as (app, one), call(url, tmp_path) as (_, other):
        for number in range(10):
            await (one, other)[number % 2].say("hello")
        assert_carried(await records(app))


async def test_a_turn_that_may_still_be_saved_is_counted_once_it_is(url: str, tmp_path: Path) -> None:
    store = create_store(url)
    await store.open()

    async def begun(name: str, at: float) -> tuple[TurnRecord, Any]:
        turn = TurnRecord("c", name, Kind.MESSAGE, "a", started_at=at)
        found = await store.begin(turn, history_tokens=0)
        return turn, found.history

    async def ended(turn: TurnRecord, tokens: int) -> None:
        turn.status, turn.ended_at, turn.usage = Status.COMPLETE, turn.started_at + 1, {"input_tokens": tokens}
        await store.save(turn)

    try:
        first, _ = await begun("t1", 100.0)
        first.spent_before = {"cost": 0.0, "tokens": 0.0}
        second, history = await begun("t2", 110.0)
        assert (await spent_before(store, second, history)).tokens == 0
        assert second.spent_before is None, "the first may still be saved"
        await ended(second, 5)
        await ended(first, 7)
        third, history = await begun("t3", 120.0)
        assert (await spent_before(store, third, history)).tokens == 12
        assert third.spent_before == {"cost": 0.0, "tokens": 12.0}
        # The third turn dies with its worker. The fourth turn begins so much later that the third one counts as ended.
        fourth, history = await begun("t4", 2000.0)
        assert (await spent_before(store, fourth, history)).tokens == 12
        assert fourth.spent_before == {"cost": 0.0, "tokens": 12.0}
    finally:
        await store.close()


async def test_usage_that_is_added_after_the_next_turn_has_begun_is_counted(url: str, tmp_path: Path) -> None:
    store = create_store(url)
    await store.open()

    async def turn(name: str, at: float, tokens: int, **given: Any) -> tuple[TurnRecord, float]:
        record = TurnRecord("c", name, Kind.MESSAGE, "a", started_at=at, **given)
        begun = await store.begin(record, history_tokens=0)
        spent = await spent_before(store, record, begun.history)
        record.status, record.ended_at, record.usage = Status.COMPLETE, at + 1, {"input_tokens": tokens}
        await store.save(record)
        return record, spent.tokens

    def settle(record: TurnRecord) -> None:
        record.outlasting, record.usage = [], {"input_tokens": 1000}

    try:
        assert (await turn("t1", 100.0, 5, outlasting=["summary"]))[1] == 0
        second, spent = await turn("t2", 110.0, 7)
        assert (second.spent_before, spent) == (None, 5), "the summary of the first turn may still cost something"
        await store.update("c", "t1", settle)
        third, spent = await turn("t3", 120.0, 9, outlasting=["summary"])
        assert (third.spent_before, spent) == ({"cost": 0.0, "tokens": 1007.0}, 1007)
        # The worker of that summary dies.
        fourth, spent = await turn("t4", 2000.0, 0)
        assert (fourth.spent_before, spent) == ({"cost": 0.0, "tokens": 1016.0}, 1016)
    finally:
        await store.close()
