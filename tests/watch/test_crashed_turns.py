"""A turn whose worker was killed is ended and reported by another worker, although the conversation does not go on."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from layercode_app import LayerCode, Message, Turn, TurnRecord, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation import delivery
from layercode_app.conversation.admission import TurnHandler
from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.exceptions import DeliveryError
from layercode_app.journal.crashed_turn import give_up
from layercode_app.journal.record import Kind, Status, ToolCall
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Job
from layercode_app.observability import context, metrics, turns
from layercode_app.reports.usage_totals import totals_by_day
from layercode_app.watch import crashed_turns
from layercode_app.watch.crashed_turns import CRASHED_TURNS, CrashedTurns

from ..calling import Caller, calling, settings
from ..conversation.world import Ear
from ..journal.stores.records import add as add_ended
from ..journal.stores.records import begin, turn
from ..journals import SHARED, journal_url
from ..server_process import SECRET, ServerProcess
from ..waiting import until

pytestmark = pytest.mark.anyio

FAILED = ("payer", "message", "failed")
SEARCH = Job(CRASHED_TURNS, CRASHED_TURNS, "", {})


@pytest.fixture(params=SHARED)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


async def killed_in_a_turn(store_url: str, folder: Path) -> None:
    """Kill a server with kill -9 while the tool of a turn runs."""
    server = ServerProcess(store_url, folder, LAYERCODE_FILLER="off").start()
    try:
        async with WebhookClient(f"{server.url}/api/agents/payer", SECRET) as client:
            call = asyncio.create_task(Caller(client, "c", "s").say("pay", turn_id="t"))
            await until(lambda: bool(server.paid))
            await asyncio.to_thread(server.kill)
            with suppress(DeliveryError):
                await call
    finally:
        server.stop()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Enable the log lines of turns, as an app may do. Yield the logged lines, each with the id of its turn."""
    lines: list[str] = []
    number = logger.add(lambda line: lines.append(f"{context.ids().get('turn_id')}: {line.record['message']}"))
    logger.enable(turns.__name__)
    yield lines
    logger.disable(turns.__name__)
    logger.remove(number)


async def test_a_killed_worker(
    store_url: str, tmp_path: Path, lines: list[str], rows: list[metrics.Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashed_turns, "GRACE_SECONDS", 0.0)
    await killed_in_a_turn(store_url, tmp_path)
    app = LayerCode(VoiceAgent("payer", greeting="Hello."), settings=settings(tmp_path, store=store_url))
    async with calling(app):
        async with asyncio.timeout(100):
            # The lease of the dead worker must lapse first.
            while not await totals_by_day(app.store):
                await app.watch.run(SEARCH)
                await asyncio.sleep(0.05)
        record = await app.store.get("c", "t")
        [day] = (await totals_by_day(app.store)).values()
    assert record is not None
    assert (record.status, record.error) == (Status.FAILED, "CrashedTurnError")
    assert "pay" in record.notes[0]
    assert (day["turns"], day["failed"], day["tool_calls"]) == (1, 1, 1)
    assert sum(amount for metric, amount, labels in rows if (metric, labels) == (metrics.TURNS, FAILED)) == 1
    told = [line for line in lines if line.startswith("t: ")]
    assert told == ["t: The turn failed because its worker died", "t: turn failed, its worker died"]


async def crash(store_url: str, record: TurnRecord) -> None:
    """Store a running turn whose worker has died."""
    dead = create_store(store_url)
    await dead.open()
    await begin(dead, record)
    await dead.close()


async def test_the_next_turn_reports_it_and_itself(store_url: str, tmp_path: Path, lines: list[str]) -> None:
    app = LayerCode(answering(), settings=settings(tmp_path, store=store_url))
    async with calling(app) as caller:
        await crash(store_url, turn(caller.conversation_id, "t", agent="payer"))
        await caller.say("hello", turn_id="next")
        async with asyncio.timeout(100):
            while (await totals_by_day(app.store)).get(today(), {}).get("turns") != 2:
                await asyncio.sleep(0.05)
        assert (await totals_by_day(app.store))[today()]["failed"] == 1
    assert lines[:2] == ["t: The turn failed because its worker died", "t: turn failed, its worker died"]
    assert [line for line in lines if line.startswith("next: turn complete in ")]


async def test_a_data_event_is_no_turn(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashed_turns, "GRACE_SECONDS", -1.0)
    store_url = f"sqlite:///{tmp_path}/journal.sqlite3"
    usage = {"requests": 1, "input_tokens": 7}
    await crash(store_url, turn("c", "d", agent="payer", kind=Kind.DATA, usage=usage, model="gpt-5-mini"))
    await crash(store_url, turn("c", "e", agent="payer", kind=Kind.SESSION))
    app = LayerCode(answering(), settings=settings(tmp_path, store=store_url))
    async with calling(app):
        await app.watch.run(SEARCH)
        async with asyncio.timeout(100):
            while not (days := await totals_by_day(app.store)):
                await asyncio.sleep(0.05)
        # Its hooks run again when the session event is delivered again.
        session = await app.store.get("c", "e")
    assert "turns" not in days[today()]
    assert days[today()]["input_tokens"] == 7
    assert session is not None
    assert not session.finished
    assert [line for line in lines if line.startswith("d:")] == ["d: The data event failed because its worker died"]


async def test_a_young_turn_is_left_to_its_second_delivery(tmp_path: Path) -> None:
    store_url = f"sqlite:///{tmp_path}/journal.sqlite3"
    app = LayerCode(answering(), settings=settings(tmp_path, store=store_url))
    async with calling(app) as caller:
        await crash(store_url, turn(caller.conversation_id, "t", agent="payer"))
        await app.watch.run(SEARCH)
        assert (await caller.say("hello", turn_id="t")).spoken == "Paid."


async def test_the_first_search_looks_back_for_days_and_the_next_ones_for_an_hour(store_url: str) -> None:
    now, ended = time.time(), []
    dead, here = create_store(store_url), create_store(store_url)
    await dead.open()
    await here.open()
    for age in (300_000, 200_000, 20_000, 3_000):
        await begin(dead, turn("c", f"{age}", started_at=now - age))
    await begin(dead, turn("other", "young", started_at=now))
    search = CrashedTurns(here, lambda record: ended.append(record.turn_id))
    await search.search()
    assert ended == []
    await dead.close()
    await search.search()
    assert ended == ["3000"]
    await CrashedTurns(here, lambda record: ended.append(record.turn_id)).search()
    assert sorted(ended) == ["20000", "200000", "3000"]
    await here.close()


@pytest.mark.parametrize("tools", [False, True])
async def test_a_caller_who_followed_an_ended_turn_hears_the_apology(
    store_url: str, tools: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FOLLOW_SECONDS", 2.0)  # The search is the first to see that the worker is dead.
    dead, here = create_store(store_url), create_store(store_url)
    await dead.open()
    await here.open()
    record = turn("c", "t", agent="payer", started_at=time.time() - 300)
    await begin(dead, record)
    record.tools = [ToolCall("1", "pay", {}, 1.0)] if tools else []
    await dead.save(record)
    handler, heard = TurnHandler(here), Ear()
    event = Message(session_id="s", conversation_id="c", turn_id="t", text="hello")
    voice = answering(apology="Sorry.", tool_apology="Sorry. Please check it.")
    call = asyncio.create_task(handler.admit(AgentRunner(voice), event, heard.listener, received=time.perf_counter()))
    await until(lambda: handler._followers)
    await asyncio.sleep(0.5)
    await dead.close()
    await CrashedTurns(here, lambda record: None).search()
    await asyncio.wait_for(call, 100)
    assert heard.spoken == ("Sorry. Please check it." if tools else "Sorry.")
    await here.close()


async def test_turns_that_cannot_be_read_do_not_stop_the_search(tmp_path: Path) -> None:
    path, started_at = tmp_path / "journal.sqlite3", time.time() - 300
    dead, here = create_store(f"sqlite:///{path}"), create_store(f"sqlite:///{path}")
    await dead.open()
    await here.open()
    for name in ("first", "broken", "last"):
        await begin(dead, turn(name, "t", started_at=started_at))
    await dead.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE turns SET head = 'broken' WHERE conversation_id = 'broken'")
    ended: list[TurnRecord] = []
    await CrashedTurns(here, ended.append).search()
    assert [record.conversation_id for record in ended] == ["first", "last"]
    await here.close()


async def test_turns_are_found_whatever_their_order_in_the_journal(store_url: str) -> None:
    """The clock of a host may be changed, and `journal copy` adds old turns after new ones."""
    dead, here, ended = create_store(store_url), create_store(store_url), []
    await dead.open()
    await here.open()
    search = CrashedTurns(here, lambda record: ended.append(record.turn_id))
    await search.search()
    await begin(dead, turn("c", "t", started_at=time.time() - 300))
    await add_ended(here, turn("c", "old", started_at=time.time() - 7 * 86_400))
    await dead.close()
    await search.search()
    assert ended == ["t"]
    await here.close()


async def test_a_turn_that_its_worker_has_reported_is_not_reported_again(store_url: str, lines: list[str]) -> None:
    """The journal hung as the turn began. So its worker apologised, and gave the turn up."""
    dead, here = create_store(store_url), create_store(store_url)
    await dead.open()
    await here.open()
    record = turn("c", "t", started_at=time.time() - 300)
    await begin(dead, record)
    await dead.update(*record.key, give_up)
    await dead.close()
    ended: list[TurnRecord] = []
    await CrashedTurns(here, ended.append).search()
    stored = await here.get("c", "t")
    assert stored is not None
    assert (stored.status, ended) == (Status.FAILED, [])
    await here.close()


async def test_a_second_delivery_hears_the_apology_of_an_ended_turn(store_url: str, tmp_path: Path) -> None:
    app = LayerCode(answering(apology="Sorry."), settings=settings(tmp_path, store=store_url))
    async with calling(app) as caller:
        await crash(store_url, turn(caller.conversation_id, "t", agent="payer", started_at=time.time() - 300))
        await app.watch.run(SEARCH)
        reply = await caller.say("hello", turn_id="t")
        assert (reply.spoken, reply.types[-1]) == ("Sorry.", "response.end")
        # A newer turn has answered the caller.
        await caller.say("hello", turn_id="next")
        assert (await caller.say("hello", turn_id="t")).spoken == ""


async def test_the_search_goes_on_after_workers_of_an_earlier_release_gave_it_up(store_url: str) -> None:
    store = create_store(store_url)
    await store.open()
    search = CrashedTurns(store, lambda record: None)
    for _ in range(2):
        await search.enqueue(store.enqueue)
        assert [job.id for job in await store.pending_jobs()] == [CRASHED_TURNS]
    [job] = await store.pending_jobs()
    await store.settle(job)
    for _ in range(2):
        await search.enqueue(store.enqueue)
        [job] = await store.pending_jobs()
        assert (job.name, job.id) == (CRASHED_TURNS, f"{CRASHED_TURNS}-{today()}")
    await store.close()


def answering(**options: Any) -> VoiceAgent[Any, Any]:
    voice = VoiceAgent("payer", **options)

    @voice.on_message
    async def answer(turn: Turn) -> str:
        return "Paid."

    return voice


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
