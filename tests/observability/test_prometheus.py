"""Values that wait to be written for Prometheus are never lost, and their number is bounded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

from layercode_app.observability import prometheus
from layercode_app.observability.metric_files import MetricFiles
from layercode_app.observability.metric_sums import Sums
from layercode_app.observability.metrics import ACTIVE, TTFS, TURNS, Metric
from layercode_app.observability.prometheus import Prometheus

from ..full_disk import needs_mounts, small_disks
from ..processes import ROOT

LABELS = ("echo", "message", "complete")


def test_threads_lose_nothing_to_a_flush() -> None:
    kept = Prometheus(None)

    def count() -> None:
        for _ in range(5_000):
            kept.add([(TURNS, 1, LABELS)])

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        kept.flush()
    assert b'layercode_turns_total{agent="echo",kind="message",status="complete"} 20000.0' in kept.text()


def test_so_many_wait_where_nobody_asks() -> None:
    kept = Prometheus(None)
    for _ in range(3 * prometheus.MOST_WAITING):
        kept.add([(TTFS, 0.1, ("echo",))])
    assert len(kept._waiting) <= prometheus.MOST_WAITING
    assert f'seconds_count{{agent="echo"}} {3.0 * prometheus.MOST_WAITING}'.encode() in kept.text()


def test_other_labels_than_before_cost_no_other_figure() -> None:
    kept = Prometheus(None)
    for labels in (("size",), ("size", "colour"), ("size",)):
        kept.add([(Metric("layercode.custom.orders", "counter", "Orders.", labels), 1, ("large",) * len(labels))])
    kept.add([(TURNS, 1, LABELS)])
    assert b'layercode_custom_orders_total{size="large"} 2.0' in kept.text()
    assert b"layercode_turns_total{" in kept.text()


def test_a_scrape_waits_for_the_flush_of_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, taken, go_on = Prometheus(None), threading.Event(), threading.Event()
    add = Sums.add

    def slow(sums: Sums, *rest: Any) -> None:
        taken.set()
        assert go_on.wait(10)
        add(sums, *rest)

    monkeypatch.setattr(Sums, "add", slow)
    kept.add([(TURNS, 1, LABELS)])
    flushing, scraped = threading.Thread(target=kept.flush), []
    flushing.start()
    assert taken.wait(10)
    scraping = threading.Thread(target=lambda: scraped.append(kept.text()))
    scraping.start()
    scraping.join(0.05)
    assert not scraped
    go_on.set()
    flushing.join()
    scraping.join()
    assert b'status="complete"} 1.0' in scraped[0]


def test_what_other_servers_of_this_process_counted_is_not_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # If this variable is set, the Prometheus client merges all counters of a process that have the same name.
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(2):
        kept = Prometheus(None)
        kept.add([(TURNS, 1, LABELS)])
        assert b'status="complete"} 1.0' in kept.text()
    assert not list(tmp_path.iterdir())


def test_names_that_prometheus_cannot_show_cost_no_scrape() -> None:
    kept = Prometheus(None)
    custom = Metric("layercode.custom.größe", "counter", "Counted.", ("für",))
    kept.add([(custom, 1, ("\ud83d",)), (TURNS, 1, LABELS)])
    assert b'layercode_custom_gr__e_total{f_r="<U+D83D>"} 1.0' in kept.text()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Prometheus]:
    kept = Prometheus(tmp_path / "metrics")
    yield kept
    kept.close()


def test_processes_of_a_host_are_added_up_and_the_gauges_of_the_dead_left_out(
    shared: Prometheus, tmp_path: Path
) -> None:
    histogram = ["histogram", "Speech.", ["agent"], [[["echo"], [0.3, *[0] * 3, 2.0, *[0] * 10]]]]
    sums = {
        "layercode_turns": ["counter", "Turns.", [*TURNS.labels], [[[*LABELS], [5]]]],
        "layercode_turns_active": ["gauge", "Active.", ["agent"], [[["echo"], [1]]]],
        "layercode_turn_ttfs_seconds": histogram,
        "layercode_custom_of_another_version": ["counter", "Other labels.", ["a"], [[["b"], [7]]]],
    }
    mine = ["mine", "counter", "Mine.", [["mine_total", {"a": "b"}, 2]]]
    level = ["level", "gauge", "Level.", [["level", {}, 3]]]
    dumped = json.dumps({"sums": sums, "registry": [mine, level]})
    for name in (f"{os.getppid()}.json", "dead-1-2.json", "999999999.json"):
        (tmp_path / "metrics" / name).write_text(dumped)
    (tmp_path / "metrics" / "1.json").write_text("{half of a fi")
    shared.add([(TURNS, 1, LABELS), (ACTIVE, 1, ("echo",)), (TTFS, 0.2, ("echo",))])
    shared.add([(Metric("layercode.custom.of_another_version", "counter", "Other.", ("c",)), 1, ("d",))])
    text = shared.text().decode()
    assert 'layercode_turns_total{agent="echo",kind="message",status="complete"} 16.0' in text
    assert 'layercode_turns_active{agent="echo"} 2.0' in text
    assert 'layercode_turn_ttfs_seconds_bucket{agent="echo",le="0.2"} 1.0' in text
    assert 'layercode_turn_ttfs_seconds_bucket{agent="echo",le="0.3"} 7.0' in text
    assert 'layercode_turn_ttfs_seconds_count{agent="echo"} 7.0' in text
    assert 'layercode_custom_of_another_version_total{c="d"} 1.0' in text
    assert 'mine_total{a="b"} 6.0' in text
    assert f'level{{pid="{os.getppid()}"}} 3.0' in text
    assert text.count("level{") == 1
    assert "layercode_system_memory_total_bytes " in text


def test_metrics_made_with_the_prometheus_client_are_shown_and_shared(shared: Prometheus, tmp_path: Path) -> None:
    own = prometheus_client.Counter("orders_of_mine", "Orders.", ["size"])
    try:
        own.labels("large").inc(3)
        shared.flush()
        text = shared.text().decode()
        written = json.loads((tmp_path / "metrics" / f"{os.getpid()}.json").read_text())
    finally:
        prometheus_client.REGISTRY.unregister(own)
    assert 'orders_of_mine_total{size="large"} 3.0' in text
    assert "python_info" not in text
    assert [name for name, *_ in written["registry"]] == ["orders_of_mine"]


def test_private_labels_of_an_agents_own_metrics_are_masked(shared: Prometheus, tmp_path: Path) -> None:
    own = prometheus_client.Histogram("waits_of_mine", "Waits.", ["who", "password", "token_type"])
    try:
        for who in ("+14155552671", "+14155550071"):
            own.labels(who, "test4711", "input").observe(1)
        shared.flush()
        shown = shared.text().decode()
        written = "".join(path.read_text() for path in (tmp_path / "metrics").glob("*.json"))
    finally:
        prometheus_client.REGISTRY.unregister(own)
    assert 'waits_of_mine_count{password="[redacted]",token_type="input",who="+1…71"} 2.0' in shown
    assert 'waits_of_mine_bucket{le="+Inf",password="[redacted]",token_type="input",who="+1…71"} 2.0' in shown
    assert not any(word in shown + written for word in ("5552671", "5550071", "test4711"))


def test_a_folder_that_was_taken_away_costs_nothing(shared: Prometheus, tmp_path: Path) -> None:
    shared.add([(TURNS, 1, LABELS)])
    shared.flush()
    shutil.rmtree(tmp_path / "metrics")
    assert b'status="complete"} 1.0' in shared.text()
    shared.add([(TURNS, 1, LABELS)])
    shared.flush()
    assert [path.name for path in (tmp_path / "metrics").glob("*.json")] == [f"{os.getpid()}.json"]


def test_a_host_whose_processes_are_all_gone_starts_at_zero(tmp_path: Path) -> None:
    old = [tmp_path / name for name in ("999999999.json", f"{os.getpid()}.json", "dead-1-2.json", "counter_1.db")]
    for path in old:
        path.write_text("{}")
    Prometheus(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".gitignore"] == [f"{os.getpid()}.json"]


def test_the_id_of_a_dead_process_loses_none_of_its_figures_while_others_live(tmp_path: Path) -> None:
    sums = {"layercode_turns": ["counter", "Turns.", [*TURNS.labels], [[[*LABELS], [5]]]]}
    (tmp_path / f"{os.getpid()}.json").write_text(json.dumps({"sums": sums}))
    (tmp_path / f"{os.getppid()}.json").write_text("{}")
    kept = Prometheus(tmp_path)
    kept.add([(TURNS, 1, LABELS)])
    assert b'status="complete"} 6.0' in kept.text()
    kept.close()


FULL = """
import pathlib, sys
from loguru import logger
from layercode_app.observability.metrics import TURNS
from layercode_app.observability.prometheus import Prometheus
from tests.full_disk import empty, fill

folder = pathlib.Path(sys.argv[1])
logger.remove()
logger.add(sys.stdout, format="{level} {message}")
fill(folder)
kept = Prometheus(folder)
for number in range(3):
    kept.add([(TURNS, 1, ("echo", "message", f"status {number} " + 20_000 * "x"))])
    kept.flush()
print(kept.text().decode()[-100:], kept.text().count(b"layercode_turns_total{"))
empty(folder)
kept.flush()
print([path.stat().st_size > 500 for path in folder.glob("*.json")])
kept.close()
"""


@needs_mounts
@pytest.mark.slow
def test_a_full_disk_leaves_the_figures_in_the_process_and_says_so_once(tmp_path: Path) -> None:
    # Run this in another process. If the disk has no room, a write to mapped memory would kill the process with SIGBUS.
    command = [*small_disks(tmp_path, kilobytes=200), sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.count("WARNING METRICS_DIR") == 1
    assert "No space left on device" in done.stdout
    assert " 3\n" in done.stdout
    assert done.stdout.count("is writable again") == 1
    assert done.stdout.endswith("[True]\n")


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), 2.0**70])
def test_unusual_numbers_of_another_process_are_shown(amount: float, tmp_path: Path) -> None:
    revenue = Metric("layercode.custom.revenue", "counter", "May be null.", ())
    files, sums = MetricFiles(tmp_path), Sums()
    sums.add(revenue, (), [amount])
    wait = ["wait_seconds", "gauge", "", [["wait_seconds", {}, amount]]]
    files.write({"sums": sums.dump(), "registry": [wait]})
    (tmp_path / f"{os.getpid()}.json").rename(tmp_path / f"{os.getppid()}.json")
    kept = Prometheus(tmp_path)
    try:
        text = kept.text().decode().replace("+Inf", "inf").lower()
        assert f"layercode_custom_revenue_total {amount}" in text
        assert f'wait_seconds{{pid="{os.getppid()}"}} {amount}' in text
    finally:
        kept.close()
