"""In any store, the copy of a journal equals the original, even if the copying was interrupted and run again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.journal import steady_clock
from layercode_app.journal.check_journal import check_journal
from layercode_app.journal.copy_journal import copy_journal
from layercode_app.journal.record import Status, ToolCall, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Job, Store
from layercode_app.journal.stores.history_steps import SUMMARY

from ..hostile import ALL, HALF
from ..journals import SHARED, journal_url
from ..lost_answers import lose_answer
from .stores.records import add, begin, turn
from .stores.writers import in_begun_turns

pytestmark = pytest.mark.anyio

TURNS = 60


async def opened(url: str) -> Store:
    store = create_store(url)
    await store.open()
    return store


@pytest.fixture
async def source(tmp_path: Path) -> Any:
    store = await opened(f"sqlite:///{tmp_path}/source.sqlite3")
    for number in range(TURNS):
        record = turn(
            f"c{number % 7}", f"t{number}", user_text=f"{number} {ALL}", messages=b'[{"kind":"request","parts":[]}]'
        )
        record.tools = [ToolCall("1", "look_up", {"what": HALF}, 1.0, 2.0, "done", {"found": number})]
        await store.save(await add(store, record), state={"seats": 2} if number == 3 else None)
    await store.save_state("c1", {"basket": {"rolls": 3}, ALL: "x"})
    await store.establish("silent", {"user": "ann"})
    await store.enqueue(Job("j", "session_end", "a", {"text": ALL}, "c1", due_at=steady_clock.now() + 100))
    await store.add_totals("day 1", {"cost": 0.25, "turns": 3})
    yield store
    await store.close()


async def content(store: Store) -> Any:
    """Return everything that a journal holds. The turns of each conversation are in order."""
    turns: dict[str, list[TurnRecord]] = {}
    async for record in store.turns():
        record.position, record.owner, record.attempt, record.history_start = 0, "", 0, 0
        turns.setdefault(record.conversation_id, []).append(record)
    names = {*turns, *await store.established()}
    jobs = [(job.id, job.payload, round(job.due_at)) for job in await store.pending_jobs()]
    return turns, {name: await store.conversation(name) for name in names}, jobs, await store.totals("")


@pytest.mark.parametrize("kind", SHARED)
async def test_a_copy_and_a_copy_of_it_equal_the_source(
    kind: str, source: Store, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    target = await opened(journal_url(kind, request, tmp_path))
    copied = await copy_journal(source, target)
    assert (copied.turns, copied.already, copied.jobs, copied.different) == (TURNS, 0, 1, [])
    assert await content(target) == await content(source)
    back = await opened(f"sqlite:///{tmp_path}/back.sqlite3")
    assert (await copy_journal(target, back)).different == []
    assert await content(back) == await content(source)
    size = await back.size()
    assert (size.turns, size.conversations) == (TURNS, 7)
    await target.close()
    await back.close()


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("steps", [1, 20, 45, TURNS + 10])
async def test_an_interrupted_copy_is_completed_by_the_next(
    kind: str, steps: int, source: Store, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    left = iter(range(steps))

    def stop() -> None:
        if next(left, None) is None:
            raise InterruptedError

    url = journal_url(kind, request, tmp_path)
    first = await opened(url)
    with pytest.raises(InterruptedError):
        await copy_journal(source, first, step=stop)
    await first.close()
    target = await opened(url)
    copied = await copy_journal(source, target)
    assert copied.different == []
    assert copied.already > 0
    assert await content(target) == await content(source)
    await target.close()


@pytest.mark.parametrize("kind", SHARED)
async def test_a_turn_that_was_only_begun_is_copied_whole(
    kind: str, source: Store, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = journal_url(kind, request, tmp_path)
    killed = await opened(url)
    async for record in source.turns():
        record.status = Status.RUNNING
        await begin(killed, record)
        break
    await killed.close()
    target = await opened(url)
    assert (await copy_journal(source, target)).different == []
    assert await content(target) == await content(source)
    await target.close()


@pytest.mark.parametrize("kind", SHARED)
async def test_a_copy_killed_with_kill_9_is_completed_at_once(
    kind: str, source: Store, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The next copy does not wait, although the turns of the killed process have an owner that still seems alive."""
    for number in range(7):
        await add(source, turn(f"c{number}", "t"))
    url = journal_url(kind, request, tmp_path)
    killed, _ = await in_begun_turns(url, 7, tmp_path / "ready")
    killed.kill()
    await asyncio.to_thread(killed.join)
    target = await opened(url)
    copied = await copy_journal(source, target)
    assert (copied.already, copied.different) == (0, [])
    await target.close()


async def test_a_copy_that_was_changed_is_told(source: Store, tmp_path: Path) -> None:
    target = await opened(f"sqlite:///{tmp_path}/target.sqlite3")
    await copy_journal(source, target)

    def change(record: TurnRecord) -> None:
        record.user_text = "another"

    await target.update("c3", "t3", change)
    await source.save_state("c2", {"basket": 1})
    await target.save_state("c1", {"added": "later"})
    copied = await copy_journal(source, target)
    assert copied.different == [("c3", "t3")]
    assert copied.already == TURNS
    await target.close()


async def test_a_conversation_that_went_on_in_the_target_keeps_its_state(source: Store, tmp_path: Path) -> None:
    target = await opened(f"sqlite:///{tmp_path}/target.sqlite3")
    await copy_journal(source, target)
    await add(target, turn("c1", "later"))
    await target.save_state("c1", {"basket": "newer"})
    copied = await copy_journal(source, target)
    assert (copied.newer, copied.different) == (1, [])
    assert (await target.conversation("c1")).state["basket"] == "newer"
    await target.close()


async def test_a_repeated_copy_lowers_no_total_and_counts_nothing_twice(source: Store, tmp_path: Path) -> None:
    target = await opened(f"sqlite:///{tmp_path}/target.sqlite3")
    await copy_journal(source, target)
    await add(target, turn("new", "call"))
    await target.add_totals("day 1", {"cost": 7.0, "turns": 1})
    await source.add_totals("day 2", {"turns": 1})
    for _ in range(2):
        await copy_journal(source, target)
        assert await target.totals("") == {"day 1": {"cost": 7.25, "turns": 4}, "day 2": {"turns": 1}}
    await copy_journal(target, source)
    assert await source.totals("") == await target.totals("")
    await target.close()


async def test_the_totals_of_a_second_source_are_added_once(source: Store, tmp_path: Path) -> None:
    target = await opened(f"sqlite:///{tmp_path}/target.sqlite3")
    await add(target, turn("other", "call"))
    await target.add_totals("day 1", {"cost": 8.0, "turns": 1})

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await copy_journal(source, target, step=stop)
    for _ in range(2):
        await copy_journal(source, target)
        assert await target.totals("") == {"day 1": {"cost": 8.25, "turns": 4}}
    await target.close()


async def test_totals_are_added_once_although_the_target_failed_between_them(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await source.add_totals("day 2", {"turns": 1})
    target = await opened(f"sqlite:///{tmp_path}/target.sqlite3")
    await add(target, turn("other", "call"))
    await target.add_totals("day 1", {"cost": 8.0, "turns": 1})
    lose_answer(target, "day 2", "turns", monkeypatch)
    with pytest.raises(StoreError):
        await copy_journal(source, target)
    for _ in range(2):
        await copy_journal(source, target)
        assert await target.totals("") == {"day 1": {"cost": 8.25, "turns": 4}, "day 2": {"turns": 1}}
    assert set(await target.established()) == set(await source.established())
    await target.close()


async def test_totals_of_a_source_without_turns_are_not_counted_twice(tmp_path: Path) -> None:
    """The source has totals, but its turns were deleted before the first copy. So the target gets no turn of the source.

    The second copy must still know that the totals were copied.
    """
    source = await opened(f"sqlite:///{tmp_path}/without_turns.sqlite3")
    await source.add_totals("day 1", {"turns": 3})
    target = await opened(f"sqlite:///{tmp_path}/target.sqlite3")
    await add(target, turn("other", "call"))
    for _ in range(2):
        await copy_journal(source, target)
        assert await target.totals("") == {"day 1": {"turns": 3}}
    await source.close()
    await target.close()


async def test_a_pending_summary_is_left_to_the_next_turn_because_it_names_a_position(
    source: Store, tmp_path: Path
) -> None:
    arguments = {"until": 1_790_000_000_000_000, "turn": "t", "tokens": 1500}
    running = turn("c", "t", tasks=[{"task": name, "arguments": arguments} for name in (SUMMARY, "remind")])
    await begin(source, running)
    await source.save(running)
    await source.enqueue(Job("task-c-t-0", "task", "a", {"task": SUMMARY, "arguments": arguments}, "c"))
    target = await opened(f"sqlite:///{tmp_path}/target.sqlite3")
    copied = await copy_journal(source, target)
    assert (copied.jobs, copied.different) == (1, [])
    assert [job.id for job in await target.pending_jobs()] == ["j"]
    kept = await target.get("c", "t")
    assert kept is not None
    assert [call["task"] for call in kept.tasks] == ["remind"]
    await target.close()


@pytest.mark.parametrize("kind", SHARED)
async def test_a_check_finds_the_turns_of_dead_workers_and_overdue_jobs(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = journal_url(kind, request, tmp_path)
    dead, store = await opened(url), await opened(url)
    await add(store, turn("c", "done"))
    await begin(store, turn("c", "ours"))
    await begin(dead, turn("c", "stuck"))
    await store.enqueue(Job("late", "n", "a", {}, due_at=steady_clock.now() - 10_000))
    await store.enqueue(Job("soon", "n", "a", {}, due_at=steady_clock.now() + 10))
    await dead.close()

    found = await check_journal(store)
    assert ([record.turn_id for record in found.stuck], [job.id for job in found.late]) == (["stuck"], ["late"])
    assert (found.turns, found.unreadable, found.healthy) == (3, "", False)

    assert (await check_journal(store, fix=True)).fixed == 1
    job = await store.lease(now=steady_clock.now(), seconds=60)
    assert job is not None
    await store.settle(job)
    assert (await check_journal(store)).healthy
    stuck = await store.get("c", "stuck")
    assert stuck is not None
    assert stuck.status is Status.FAILED
    await store.close()
