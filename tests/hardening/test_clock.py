"""The host's clock is moved by an hour, or is ten minutes off.

Despite the wrong clock, no lease is freed and nothing is repeated. If a webhook is refused because of the clock, the
error says so.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, SignatureError, Turn, VoiceAgent
from layercode_app.emulator.caller import TextCaller
from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.jobs import queue
from layercode_app.jobs.queue import Jobs
from layercode_app.journal import steady_clock
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Job, Store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.server.rate_limit import RateLimit
from layercode_app.watch.jumps import ClockJumps
from layercode_app.watch.watch import Watch
from layercode_app.webhook import sign, verify

from ..calling import SECRET, calling, settings
from ..emulator.platform import READY, platform
from ..journals import SHARED, STORES, journal_url
from ..processes import ROOT, clean_environment
from ..redis_server import RedisServer
from ..serving import serve
from ..support import need_program
from ..waiting import until

pytestmark = pytest.mark.anyio

HOUR, TEN_MINUTES = 3600.0, 600.0
either_way = pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["an hour on", "an hour back"])


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves the clock of this host by a number of seconds."""
    real, moved = time.time, [0.0]

    def set_by(seconds: float) -> None:
        moved[0] += seconds

    monkeypatch.setattr(time, "time", lambda: real() + moved[0])
    return set_by


@contextmanager
def worker_that_began(seconds: float) -> Iterator[None]:
    """Act as a worker whose steady clock is `seconds` ahead.

    The host's clock was that far ahead when the worker started. It may have been corrected since then.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(steady_clock, "STARTED", steady_clock.STARTED + seconds)
        yield


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Store]:
    store = create_store(address)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


# --- signatures


@pytest.mark.parametrize(
    ("skew", "clock"), [(HOUR, "3600 s ahead of"), (-HOUR, "3600 s behind of"), (TEN_MINUTES, "600 s ahead of")]
)
def test_a_wrong_clock_is_told_from_a_wrong_secret(skew: float, clock: str) -> None:
    header = sign(b"{}", SECRET, timestamp=1_750_000_000)
    with pytest.raises(SignatureError) as wrong_clock:
        verify(header, b"{}", [SECRET], now=1_750_000_000 + skew)
    with pytest.raises(SignatureError) as wrong_secret:
        verify(header, b"{}", ["another"], now=1_750_000_000 + skew)
    assert "The signature itself fits" in str(wrong_clock.value)
    assert clock in str(wrong_clock.value)
    assert "doctor" in str(wrong_clock.value)
    assert "does not fit the body either" in str(wrong_secret.value)
    assert "LAYERCODE_WEBHOOK_SECRET" in str(wrong_secret.value)


async def test_a_host_that_is_off_says_so_in_its_log_before_and_when_it_refuses(
    tmp_path: Path, warned: list[str]
) -> None:
    app = LayerCode(VoiceAgent("alone", greeting="Hi."), settings=settings(tmp_path))
    event = {"type": "session.start", "session_id": "s", "conversation_id": "c"}
    statuses = []
    async with serve(app) as url, WebhookClient(f"{url}/api/agent", SECRET) as client:
        for off in (0, 100, 110, TEN_MINUTES):
            at = int(time.time() - off)
            async with client.deliver(event | {"turn_id": f"t{off}"}, timestamp=at) as answer:
                statuses.append(answer.status)
                await answer.body()
    assert statuses == [200, 200, 200, 401]
    early, refused = warned
    assert re.search(
        r"This machine's clock is 10\d s ahead of the platform's; beyond 300 s every webhook is refused", early
    )
    assert re.search(r"this machine's clock is 60\d s ahead of the sender's", refused)


# --- turns


def counting() -> tuple[VoiceAgent[Any, Any], list[str], asyncio.Event]:
    agent, answered, proceed = VoiceAgent("alone"), list[str](), asyncio.Event()

    @agent.on_message
    async def answer(turn: Turn) -> AsyncIterator[str]:
        answered.append(turn.turn_id)
        yield "First. "
        await proceed.wait()
        yield "Then."

    return agent, answered, proceed


@either_way
@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
async def test_a_turn_goes_on_and_its_duplicate_is_answered_once(
    tmp_path: Path, address: str, seconds: float, jump: Callable[[float], None]
) -> None:
    agent, answered, proceed = counting()
    app = LayerCode(agent, settings=settings(tmp_path, store=address, turn_timeout=30))
    async with calling(app) as caller:
        first = asyncio.create_task(caller.say("hello", turn_id="t1"))
        await until(lambda: answered)
        jump(seconds)
        joining = asyncio.create_task(caller.say("hello", turn_id="t1"))
        proceed.set()
        replies = [await first, await joining, await caller.say("hello", turn_id="t1")]
        record = await app.store.get(caller.conversation_id, "t1")
    assert [reply.spoken for reply in replies] == ["First. Then."] * 3
    assert answered == ["t1"]
    assert record is not None
    assert record.status is Status.COMPLETE
    assert 0 < record.timings["ttfs"] <= record.timings["total"] < 30_000


# --- leases, deadlines


@either_way
@pytest.mark.parametrize("address", STORES, indirect=True)
async def test_a_job_that_runs_is_not_freed(
    address: str, seconds: float, jump: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(queue, "LEASE_SECONDS", 30.0)
    begun, proceed = list[str](), asyncio.Event()

    async def run(job: Job) -> None:
        begun.append(job.id)
        await proceed.wait()

    async with opened(address) as store, opened(address) as other:
        others = store if address == "memory" else other
        workers = [Jobs(store, run), Jobs(others, run)]
        await store.enqueue(Job("j", "hook", "a", {}))
        for worker in workers:
            worker.start()
        await until(lambda: begun)
        jump(seconds)
        await asyncio.sleep(0.1)
        assert begun == ["j"]
        proceed.set()
        for worker in workers:
            await worker.drain(5)
        assert await store.lease(now=1e12, seconds=60) is None
    assert begun == ["j"]


@either_way
@pytest.mark.parametrize("address", STORES, indirect=True)
async def test_a_retry_comes_after_its_pause_neither_at_once_nor_an_hour_late(
    address: str, seconds: float, jump: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(queue, "RETRY_SECONDS", (0.3,))
    tries: list[float] = []

    async def run(job: Job) -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise ValueError("not now")

    async with opened(address) as store:
        worker = Jobs(store, run)
        worker.start()
        await worker.enqueue(Job("j", "hook", "a", {}))
        await until(lambda: len(tries) == 1)
        jump(seconds)
        await until(lambda: len(tries) == 2)
        await worker.drain(5)
    assert tries[1] - tries[0] >= 0.29


@pytest.mark.parametrize("off", [TEN_MINUTES, -TEN_MINUTES], ids=["fast", "slow"])
@pytest.mark.parametrize("address", SHARED, indirect=True)
async def test_a_host_that_is_off_neither_takes_a_job_that_runs_nor_leaves_its_own_for_later(
    address: str, off: float
) -> None:
    async with opened(address) as store, opened(address) as other:
        await store.enqueue(Job("runs", "hook", "a", {}, due_at=steady_clock.now()))
        running = await store.lease(now=steady_clock.now(), seconds=60)
        assert running is not None
        with worker_that_began(off):
            assert await other.lease(now=steady_clock.now(), seconds=60) is None
        await store.renew(running, until=steady_clock.now() + 60)
        with worker_that_began(off):
            assert await other.lease(now=steady_clock.now(), seconds=60) is None
            await other.enqueue(Job("its", "hook", "a", {}))
            own = await other.lease(now=steady_clock.now(), seconds=60)
        assert own is not None
        assert own.id == "its"
        assert await store.lease(now=steady_clock.now(), seconds=60) is None


@pytest.mark.parametrize("off", [TEN_MINUTES, -TEN_MINUTES], ids=["fast", "slow"])
@pytest.mark.parametrize("address", SHARED, indirect=True)
async def test_workers_need_not_agree_on_when_a_job_is_due(address: str, off: float) -> None:
    async with opened(address) as store, opened(address) as other:
        with worker_that_began(off):
            await other.enqueue(Job("now", "hook", "a", {}, due_at=steady_clock.now()))
            await other.enqueue(Job("later", "hook", "a", {}))
            retried = await other.lease(now=steady_clock.now(), seconds=60)
            assert retried is not None
            await other.settle(retried, retry_at=steady_clock.now() + 60)
        # Redis ignores a difference of less than two seconds between its clock and a worker's clock. So a job may
        # become due up to two seconds early or late.
        due = [await store.lease(now=steady_clock.now() + 2, seconds=60) for _ in range(2)]
        assert [job and job.id for job in due] == ["now", None]
        later = await store.lease(now=steady_clock.now() + 63, seconds=60)
        assert later is not None


async def test_a_lease_from_before_the_host_was_started_again_is_over(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/journal.sqlite3") as store:
        await store.enqueue(Job("j", "hook", "a", {}))
        job = await store.lease(
            now=steady_clock.now() + 90 * 86_400, seconds=60
        )  # the host had been up for 90 days more
        assert job is not None
        assert await store.lease(now=steady_clock.now(), seconds=60) is not None


# --- windows


@either_way
@pytest.mark.parametrize("address", ["memory", "redis"], indirect=True)
async def test_a_rate_is_neither_freed_nor_stretched(
    address: str, seconds: float, jump: Callable[[float], None]
) -> None:
    limit = RateLimit("2/minute", address)
    passed = [await limit.wait_for("203.0.113.9") == 0 for _ in range(2)]
    jump(seconds)
    waits = [await limit.wait_for("203.0.113.9") for _ in range(2)]
    await limit.close()
    assert passed == [True, True]
    assert all(0 < wait <= 120 for wait in waits) or address != "memory"


async def test_a_rate_is_given_back_with_time() -> None:
    now = [1000.0]
    limit = RateLimit("2/minute", "memory", clock=lambda: now[0])
    assert [await limit.wait_for("a") == 0 for _ in range(3)] == [True, True, False]
    wait = await limit.wait_for("a")
    now[0] += wait + 60
    assert [await limit.wait_for("a") == 0 for _ in range(2)] == [True, True]
    now[0] += 10_000
    assert await limit.wait_for("b") == 0
    assert list(limit._own._windows) == ["b"], "who asks no more is forgotten"


@either_way
async def test_an_alert_neither_fires_nor_recovers_because_the_clock_was_set(
    tmp_path: Path, seconds: float, jump: Callable[[float], None], warned: list[str]
) -> None:
    store, owed = MemoryStore(), list[Job]()

    async def enqueue(job: Job) -> bool:
        owed.append(job)
        return True

    rules = [{"name": "busy", "when": "turns >= 1", "window": "5m", "channels": ["ops"]},
             {"name": "idle", "when": "turns < 1", "window": "5m", "channels": ["ops"]}]  # fmt: skip
    given = settings(tmp_path, alerts=rules, channels={"ops": "json://127.0.0.1:1/hook"})
    watch = Watch(given, store, enqueue)
    record = TurnRecord("c", "t", Kind.MESSAGE, "alone", started_at=time.time(), ended_at=time.time())
    record.status = Status.COMPLETE
    await store.begin(record, history_tokens=0)
    job = Job("alerts", "alerts", "", {})
    await watch.alerts.look(job)
    fired = [owe.payload["title"] for owe in owed]
    jump(seconds)
    due = await watch.alerts.look(job)
    assert [title.partition("] ")[2] for title in fired] == ["busy fired"]
    assert len(owed) == 1
    assert 0 < due - steady_clock.now() <= given.alert_interval
    assert [line for line in warned if f"was changed by {seconds:+.0f} s" in line]


def test_a_window_is_judged_again_when_it_has_passed() -> None:
    wall, uptime = [1000.0], [50.0]
    jumps = ClockJumps(wall=lambda: wall[0], uptime=lambda: uptime[0])

    def wait(seconds: float) -> None:
        wall[0], uptime[0] = wall[0] + seconds, uptime[0] + seconds

    wait(1000)
    assert not jumps.within(300)
    wall[0] += 10
    assert not jumps.within(300), "a clock that is corrected a little was not set"
    wall[0] -= HOUR
    assert jumps.within(300)
    wait(299)
    assert jumps.within(300)
    wait(2)
    assert not jumps.within(300)
    assert jumps.within(HOUR)


# --- the emulator


@either_way
async def test_a_call_at_the_emulator_lasts_as_long_as_it_did(seconds: float, jump: Callable[[float], None]) -> None:
    async with platform() as p:
        key = (await p.authorize())["client_session_key"]
        async with p.client(key) as client:
            await client.send(READY)
            await client.listen()
            jump(seconds)
            await client.say("hello")
            await client.listen()
        ended = await p.backend.until("session.end")
        assert p.emulator.redeem(key).key == key, "the key is an hour old by the clock alone"
    assert 0 < ended["duration"] < 30_000
    assert ended["started_at"] < ended["ended_at"]
    assert not p.backend.refused


@either_way
async def test_a_chat_lasts_as_long_as_it_did(tmp_path: Path, seconds: float, jump: Callable[[float], None]) -> None:
    seen: list[Any] = []
    agent = VoiceAgent("alone", greeting="Hi.")

    @agent.on_session_end
    async def note(event: Any) -> None:
        seen.append(event)

    app = LayerCode(agent, settings=settings(tmp_path))
    async with serve(app) as url, WebhookClient(f"{url}/api/agent", SECRET) as client:
        caller = TextCaller(client)
        await caller.greet()
        jump(seconds)
        await caller.end()
        await until(lambda: seen)
    assert 0 <= seen[0].duration < 30_000
    assert seen[0].started_at <= seen[0].ended_at


# --- the real thing

SCRIPT = """
import asyncio, json, sys, time
from layercode_app.journal import steady_clock
from layercode_app.journal.stores import create_store
from layercode_app.webhook import verify
from layercode_app.exceptions import SignatureError

async def main():
    url, header = sys.argv[1:]
    store = create_store(url)
    await store.open()
    leased = await store.lease(now=steady_clock.now(), seconds=60)
    await store.close()
    try:
        reason = verify(header, b"{}", ["test-secret"])
    except SignatureError as error:
        reason = str(error)
    print(json.dumps([time.time(), leased is not None, reason]))

asyncio.run(main())
"""


@pytest.mark.parametrize("off", ["+10m", "-10m"])
@pytest.mark.slow
async def test_a_real_process_whose_clock_is_off(redis_server: RedisServer, off: str) -> None:
    faketime = need_program("faketime")
    redis_server.clear()
    async with opened(redis_server.url) as store:
        await store.enqueue(Job("runs", "hook", "a", {}))
        assert await store.lease(now=steady_clock.now(), seconds=60) is not None
        process = await asyncio.create_subprocess_exec(
            faketime, "-f", off, sys.executable, "-c", SCRIPT, redis_server.url, sign(b"{}", SECRET),
            env=clean_environment(DONT_FAKE_MONOTONIC="1"), cwd=ROOT, stdout=subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
    now, took_it, reason = json.loads(output)
    assert abs(now - time.time()) == pytest.approx(TEN_MINUTES, abs=30)
    assert not took_it
    assert "The signature itself fits" in reason
    assert ("ahead" in reason) == off.startswith("+")
