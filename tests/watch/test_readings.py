"""Alerts: the metrics that they read, their recovery, their severity, and the link to a turn."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from layercode_app import ConfigurationError, DeveloperError, Turn, VoiceAgent, load_settings
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores.base import Job
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.testing.call import open_call
from layercode_app.watch import system
from layercode_app.watch.alerts import Alerts, fires
from layercode_app.watch.metrics import METRICS, Metric
from layercode_app.watch.pending import PendingTotals
from layercode_app.watch.refusals import Refusals
from layercode_app.watch.rules import Rule, rules_of
from layercode_app.watch.system import System
from layercode_app.watch.window import Reading, Windows

from ..priced import inbox

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"


def settings(when: str, url: str = "json://127.0.0.1:1/hook", trace_url: str = "", **more: Any) -> Any:
    given = {"name": "r", "when": when, "window": "10m", "channels": ["ops"], **more}
    values = {"channels": {"ops": url}, "alerts": [given], "trace_url": trace_url}
    return load_settings(values, env_file=None, toml_file=None)


def rule(when: str, **more: Any) -> Rule:
    return rules_of(settings(when, **more))[0]


async def journal(*turns: dict[str, Any]) -> MemoryStore:
    """A journal of turns that ended just now."""
    store = MemoryStore()
    await store.open()
    for number, given in enumerate(turns):
        record = TurnRecord("c", f"t{number}", Kind.MESSAGE, "a", started_at=time.time() - 60 + number)
        await store.begin(record, history_tokens=0)
        record.status, record.trace_id, record.ended_at = Status.COMPLETE, f"trace-{number}", record.started_at
        for name, value in given.items():
            setattr(record, name, value)
        await store.save(record)
    return store


async def reading(when: str, store: MemoryStore, **more: Any) -> Reading:
    pending = PendingTotals(store)
    windows = Windows(store, Refusals(store, pending), System(store, pending))
    found, now = rule(when, **more), time.time()
    return await windows.reading(found, (await windows.count([found], now))[found.name], now)


# --- firing and recovering


@pytest.mark.parametrize(
    ("when", "more", "read", "before", "now"),
    [
        ("error_rate > 5%", {}, Reading(0.5, 10), False, True),
        ("error_rate > 5%", {}, Reading(0.0, 10), True, False),
        ("error_rate > 5%", {}, Reading(None, 0), True, True),
        ("error_rate > 5%", {}, Reading(None, 0), False, False),
        ("error_rate > 5%", {"at_least": 20}, Reading(0.0, 10), True, True),
        ("error_rate > 5%", {"at_least": 20}, Reading(0.5, 10), False, False),
        ("errors > 5", {}, Reading(0.0, 0), True, True),
        ("errors > 5", {}, Reading(0.0, 3), True, False),
        ("p95(ttfs) > 2s", {}, Reading(None, 0), True, True),
        ("count(orders) < 1", {}, Reading(0.0, 0), False, True),
        ("turns > 100", {}, Reading(0.0, 0), True, False),
        ("cost > $20", {}, Reading(0.0, 0), True, False),
        ("bad_signatures > 5", {}, Reading(0.0, of_turns=False), True, False),
        ("cpu > 90%", {}, Reading(0.2, of_turns=False), True, False),
        ("cpu > 90%", {}, Reading(None, of_turns=False), True, True),
    ],
)
def test_silence_is_no_recovery(when: str, more: Any, read: Reading, before: bool, now: bool) -> None:
    found = rule(when, **more)
    assert fires(found, read, found.limit, before=before) is now


def test_a_baseline_that_is_gone_leaves_the_alert_as_it_was() -> None:
    found = rule("cost > 3 x baseline(7d)")
    assert fires(found, Reading(1.0, 3), None, before=True)


# --- counters


async def test_what_an_agent_counts_is_watched() -> None:
    voice = VoiceAgent("shop")

    @voice.on_message
    async def order(turn: Turn) -> str:
        turn.count("orders", 2, size="large")
        turn.count("orders", size="small")
        turn.count("orders", size="very large")
        return "Ordered."

    async with open_call(voice) as call:
        record = (await call.say("one")).record
        assert record is not None
        assert record.counts == {
            "orders": 4,
            "orders,size=large": 2,
            "orders,size=small": 1,
            "orders,size=very large": 1,
        }
        assert isinstance(call.app.store, MemoryStore)
        assert (await reading("count(orders) > 1", call.app.store)).value == 4
        assert (await reading("count(orders, size=large) > 1", call.app.store)).value == 2
        assert (await reading("count(orders, size=very large) > 1", call.app.store)).value == 1
        assert (await reading("count(cakes) > 1", call.app.store)).value == 0


async def test_a_turn_that_cannot_be_counted_is_skipped(warned: list[str]) -> None:
    store = await journal({"outcomes": ["not a dictionary"]}, {"status": Status.FAILED, "error": "X"})
    assert (await reading("errors > 0", store)).value == 1
    assert warned == ["The alert r does not count turn t0"]


async def test_a_rule_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    def fail(tally: Any, of: str) -> float:
        raise ArithmeticError

    jobs: list[Job] = []

    async def enqueue(job: Job) -> bool:
        jobs.append(job)
        return True

    monkeypatch.setitem(METRICS, "turns", Metric(fail))
    store = await journal({"status": Status.FAILED, "error": "X"})
    pending = PendingTotals(store)
    given = settings("turns > 1")
    second = given.alerts[0] | {"name": "second", "when": "errors > 0"}
    given = given.model_copy(update={"alerts": (*given.alerts, second)})
    await Alerts(given, store, pending, Refusals(store, pending), enqueue).look(Job("alerts", "alerts", "", {}))
    assert [job.payload["title"].split("] ")[1] for job in jobs] == ["second fired"]
    assert warned[0] == "Alert r could not be evaluated"


# --- hosts


async def test_the_host_with_the_highest_figure_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "SAMPLE_SECONDS", 0.01)
    store = await journal()
    pending = PendingTotals(store, seconds=0.0)
    sampled = System(store, pending)
    sampled.start()
    now = time.time()
    while await sampled.between("memory", now - 60, now + 60) is None:
        await asyncio.sleep(0.005)
        await pending.flush()
    await sampled.stop()
    for name in ("cpu", "memory", "disk"):
        value = await sampled.between(name, now - 60, now + 60)
        assert value is not None
        assert 0 <= value <= 1
    key = f"{system._key(now)}/other-host"
    await store.add_totals(key, {"cpu": 18.0, "samples": 2.0})
    await store.add_totals(key, {"cpu": 10.0, "samples": 1.0})
    assert await sampled.between("cpu", now - 60, now + 60) == pytest.approx(28.0 / 3)
    assert await sampled.between("cpu", now - 600, now - 300) is None


async def test_sampling_goes_on_after_a_reading_that_failed(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    monkeypatch.setattr(system, "SAMPLE_SECONDS", 0.001)
    readings = [None, {"network": 1.0}, {"network": 2.0}, None, None, {"network": 3.0}, {"network": 3.0}]
    samples: list[float] = []
    done = asyncio.Event()

    def figures() -> dict[str, float]:
        if not readings:
            done.set()
            return {"network": 0.0}
        if (reading := readings.pop(0)) is None:
            raise OSError("Stale file handle")
        return dict(reading)

    pending = PendingTotals(MemoryStore())
    monkeypatch.setattr(system, "_figures", figures)
    monkeypatch.setattr(pending, "add", lambda key, amounts: samples.append(amounts["network"]))
    sampled = System(MemoryStore(), pending)
    sampled.start()
    async with asyncio.timeout(20):
        await done.wait()
    await sampled.stop()
    assert samples[0] > 0
    assert samples[1] == 0
    assert warned == ["CPU, memory, disk and network of this host cannot be read now: Stale file handle"] * 2


def test_hosts_are_sampled_only_where_a_rule_watches_them() -> None:
    store = MemoryStore()
    pending = PendingTotals(store)
    for when, sampling in (("turns > 1", False), ("cpu > 90%", True)):
        alerts = Alerts(settings(when), store, pending, Refusals(store, pending), lambda job: None)  # type: ignore[arg-type, return-value]
        started: list[bool] = []
        alerts._system.start = lambda started=started: started.append(True)  # type: ignore[method-assign, misc]
        alerts.start()
        assert bool(started) is sampling


# --- the link and the mark


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ("error_rate > 5%", "trace-1"),
        ("errors(tool) > 0", "trace-1"),
        ("p95(total) > 2s", "trace-2"),
        ("cost > $1", "trace-3"),
        ("tokens > 1", "trace-3"),
        ("count(orders) > 0", "trace-0"),
        ("interruptions > 0", ""),
        ("turns > 1", "trace-3"),
    ],
)
async def test_an_alert_links_to_the_turn_that_shows_it(when: str, shown: str) -> None:
    store = await journal(
        {"counts": {"orders": 1.0}},
        {"status": Status.FAILED, "error": "X", "error_category": "tool"},
        {"timings": {"total": 9000.0}},
        {"cost": 2.0, "usage": {"requests": 1, "unpriced_requests": 0, "input_tokens": 10}},
    )
    assert (await reading(when, store)).trace_id == shown


@pytest.mark.parametrize(
    ("severity", "kind", "title"),
    [
        ("critical", "failure", "r fired (critical)"),
        ("warning", "warning", "r fired"),
        ("info", "info", "r fired (info)"),
    ],
)
async def test_a_message_has_its_severity_and_its_link(severity: str, kind: str, title: str) -> None:
    jobs: list[Job] = []

    async def enqueue(job: Job) -> bool:
        jobs.append(job)
        return True

    store = await journal({"status": Status.FAILED, "error": "X", "trace_id": TRACE})
    pending = PendingTotals(store)
    async with inbox() as box:
        given = settings("error_rate > 5%", box.url, "https://traces.example/t/{trace_id}?x=1", severity=severity)
        alerts = Alerts(given, store, pending, Refusals(store, pending), enqueue)
        state = Job("alerts", "alerts", "", {})
        await alerts.look(state)
        await alerts.look(state)
        (message,) = jobs
        await alerts.deliver(message)
        # A job that an older version has queued.
        await alerts.deliver(Job("old", "alert_message", "", {"channel": "ops", "title": "t", "body": "b"}))
        gone = Job("gone", "alert_message", "", {"channel": "gone", "title": "t", "body": "b"})
        assert not alerts.owns(gone)
        with pytest.raises(DeveloperError, match="An alert uses the channel 'gone', which is not configured"):
            await alerts.deliver(gone)
    first, old = box.bodies
    assert (first["title"].split("] ")[1], first["type"]) == (title, kind)
    assert first["message"].endswith(f"\nAn example turn from this window: https://traces.example/t/{TRACE}?x=1")
    assert old["type"] == "info"


def test_a_trace_url_without_its_place_is_refused() -> None:
    store = MemoryStore()
    pending = PendingTotals(store)
    given = settings("turns > 1", trace_url="https://traces.example")
    with pytest.raises(ConfigurationError, match=r"LAYERCODE_TRACE_URL.*\{trace_id\}"):
        Alerts(given, store, pending, Refusals(store, pending), lambda job: None)  # type: ignore[arg-type, return-value]
