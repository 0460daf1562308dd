"""The figures that wait to be written for Prometheus: none is lost, and their number is bounded."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from layercode_app.observability import prometheus
from layercode_app.observability.metrics import TTFS, TURNS, Metric
from layercode_app.observability.prometheus import Prometheus

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


TAKEN_AWAY = """
import pathlib, shutil, sys
from layercode_app.observability.metrics import TURNS
from layercode_app.observability.prometheus import Prometheus

folder = pathlib.Path(sys.argv[1])
kept = Prometheus(folder)
kept.add([(TURNS, 1, ("echo", "message", "complete"))])
kept.flush()
shutil.rmtree(folder)
print(kept.text().decode())
kept.close()
"""


def test_a_folder_that_was_taken_away_costs_figures_and_no_answer(tmp_path: Path) -> None:
    # In a process of its own: the library decides once in each whether there are several.
    told = subprocess.run(
        [sys.executable, "-c", TAKEN_AWAY, str(tmp_path / "metrics")], capture_output=True, text=True, check=True
    )
    assert "process_" in told.stdout
