"""A metric has the same value on the log line, in the journal, at a collector and at `/metrics`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.observability import metrics
from layercode_app.observability.metric_sums import prometheus_name
from layercode_app.observability.metrics import TABLE, Row
from layercode_app.observability.turns import running
from layercode_app.reports.tally import Tally
from layercode_app.webhook.events import Message

from .collectors import collecting
from .observed import Observed, observed

pytestmark = pytest.mark.anyio


async def scrape(server: Observed) -> dict[str, float]:
    text = (await server.client._http.get(server.url + "/metrics")).text
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


@pytest.mark.slow
async def test_a_turns_figures_agree_everywhere(tmp_path: Path) -> None:
    with collecting() as collector:
        async with observed(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
            await server.say("use the tool", turn="t1")
            await server.say("the tool shall fail", turn="t2")
            seen = await scrape(server)
            await server.stop()
            lines = [json.loads(line) for line in server.logged.splitlines()]

    first, second = [line for line in lines if line.get("event") == "turn"]
    assert seen['layercode_turns_total{agent="observed",kind="message",status="complete"}'] == 1
    assert seen['layercode_errors_total{agent="observed",category="tool",impact="apology"}'] == 1
    assert (second["error"], second["impact"]) == ("tool", "apology")
    total = seen['layercode_turn_duration_seconds_sum{agent="observed",status="complete"}']
    assert total == pytest.approx(first["total_ms"] / 1000)
    speech = seen['layercode_turn_ttfs_seconds_sum{agent="observed"}']
    assert speech == pytest.approx(first["ttfs_ms"] / 1000), "the apology of the failed turn is no answer"
    assert seen['layercode_tool_calls_total{agent="observed",status="done",tool="look_up"}'] == 1
    assert seen['layercode_turns_active{agent="observed"}'] == 0
    assert seen['layercode_custom_look_ups_total{size="small"}'] == 2
    assert seen["layercode_process_resident_bytes"] > 1e6
    assert seen["layercode_system_memory_total_bytes"] > 1e6

    sent = collector.metrics()
    assert (sent["layercode.turns"], sent["layercode.turn.ttfs"], sent["layercode.custom.look_ups"]) == (2, 1, 2)
    assert first["method"] == "POST"
    assert first["path"] == "/api/agent"
    assert first["http_status"] == 200
    assert "user-agent" in first["headers"]


async def test_interrupted_turns_are_counted_and_kept_out_of_the_latencies(tmp_path: Path) -> None:
    async with observed(tmp_path) as server:
        event = {"type": "message", "text": "wait", "turn_id": "t1", "session_id": "s", "conversation_id": "c"}
        async with server.client.deliver(event) as answer:
            frames = answer.frames()
            await anext(frames)
            assert (await scrape(server))['layercode_turns_active{agent="observed"}'] == 1
        name = 'layercode_interruptions_total{agent="observed"}'
        seen: dict[str, float] = {}
        for _ in range(100):
            seen = await scrape(server)
            if name in seen:
                break
            await asyncio.sleep(0.05)
    assert seen[name] == 1
    assert 'layercode_turn_ttfs_seconds_count{agent="observed"}' not in seen


@pytest.mark.slow
async def test_two_servers_of_two_workers_show_the_whole_host(tmp_path: Path) -> None:
    folder = str(tmp_path / "metrics")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with (
        observed(tmp_path / "a", "--workers", "2", METRICS_DIR=folder) as first,
        observed(tmp_path / "b", "--workers", "2", METRICS_DIR=folder) as second,
    ):
        for number in range(12):
            server = first if number % 2 else second
            await server.say("hello", conversation=f"c{number}", turn=f"t{number}")
        name = 'layercode_turns_total{agent="observed",kind="message",status="complete"}'
        # Each worker writes its counts to METRICS_DIR a moment later, and any of the four workers may answer a scrape.
        async with asyncio.timeout(100):
            while [(await scrape(server)).get(name) for server in (first, second, first, second)] != [12] * 4:
                await asyncio.sleep(0.05)
        code, _ = await first.stop()
        assert code == 0
        seen = await scrape(second)
        assert seen[name] == 12
        assert seen['layercode_turns_active{agent="observed"}'] == 0


async def test_nothing_is_kept_where_telemetry_is_off(tmp_path: Path) -> None:
    async with observed(tmp_path, TELEMETRY_ENABLED="false") as server:
        await server.say("hello")
        answer = await server.client._http.get(server.url + "/metrics")
    assert answer.status_code == 404
    assert not (tmp_path / ".layercode" / "metrics").exists()


@pytest.fixture
def rows() -> Iterator[list[Row]]:
    """The rows that a sink receives."""
    found: list[Row] = []

    class Sink:
        def add(self, rows: Sequence[Row]) -> None:
            found.extend(rows)

    metrics.use([Sink()])
    yield found
    metrics.use([])


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.FAILED])
def test_metrics_and_reports_agree_on_a_retry_that_helped(status: Status, rows: list[Row]) -> None:
    record = TurnRecord("c", "t", Kind.MESSAGE, "shop", status=status, retries=1, error_category="length")
    metrics.record_turn(record)
    tally = Tally("all")
    tally.add(record)
    [labels] = [labels for metric, _, labels in rows if metric is metrics.RETRIES]
    assert labels == ("shop", "true" if tally.recovered else "false")
    assert tally.recovered == (status is Status.COMPLETE)


def test_a_turn_that_is_delivered_twice_is_active_once(rows: list[Row]) -> None:
    message = Message(turn_id="t", conversation_id="c", session_id="s", text="Hello")

    def active() -> float:
        return sum(amount for metric, amount, _ in rows if metric is metrics.ACTIVE)

    def delivered(turn_id: str = "t") -> AbstractContextManager[Any]:
        return running("shop", message, received=0.0, verified=0.0, turn_id=turn_id)

    with delivered():
        with delivered():
            assert active() == 1
        with delivered("t2"):
            assert active() == 2
        assert active() == 1
    assert active() == 0


def test_names_are_told_apart_and_bounded() -> None:
    names = [prometheus_name(metric) for metric in TABLE]
    assert len(set(names)) == len(names)
    forbidden = {"conversation_id", "session_id", "turn_id", "user"}
    assert not any(forbidden & set(metric.labels) for metric in TABLE)
