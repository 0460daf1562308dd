"""Measure echo turns: throughput and latency of each peer, without a model."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil
import uvloop

from ..load import Measured, drive
from ..running import cpu_seconds
from .catalogue import Mode
from .install import NotRunError
from .process import Running, running
from .results import Result

MEASURE = "echo"
CALLERS, TURNS = 32, 100
WARM_CALLERS, WARM_TURNS = 8, 20


def measure(results: Sequence[Result], *, rounds: int, model_url: str, core: int | None) -> None:
    """Start all peers, then measure them alternately, round by round."""
    with ExitStack() as stack:
        servers = start_all(stack, results, MEASURE, "echo", model_url, core)
        for _, server in servers:
            uvloop.run(drive(server.port, server.peer.path, callers=WARM_CALLERS, turns=WARM_TURNS))
        for _ in range(rounds):
            for result, server in servers:
                before = cpu_seconds(psutil.Process(server.pid))
                measured = burst(server.port, server.peer.path)
                spent = cpu_seconds(psutil.Process(server.pid)) - before
                keep(result, MEASURE, measured, cpu_us=spent * 1e6 / max(len(measured.total), 1))
        for result, server in servers:
            _journal(result, server, WARM_CALLERS * WARM_TURNS + rounds * CALLERS * TURNS)


def burst(port: int, path: str, *, callers: int = CALLERS, turns: int = TURNS) -> Measured:
    """Drive a server for one round: `callers` callers send `turns` turns each."""
    return uvloop.run(drive(port, path, callers=callers, turns=turns, limit=60))


def start_all(
    stack: ExitStack, results: Sequence[Result], measure: str, mode: Mode, model_url: str, core: int | None
) -> list[tuple[Result, Running]]:
    """Start the peers. If a peer does not start, record in its result that `measure` failed."""
    servers = []
    for result in results:
        try:
            server = stack.enter_context(running(result.peer, mode, model_url, core))
        except NotRunError as error:
            result.fail(measure, str(error))
        else:
            servers.append((result, server))
    return servers


def keep(result: Result, measure: str, measured: Measured, **more: float) -> None:
    """Record the figures of a round. If a turn failed, record that the measure failed."""
    if measured.failures or not measured.total:
        result.fail(measure, f"{measured.failures} of {len(measured.total) + measured.failures} turns failed")
        return
    result.add(
        measure,
        {
            "per_second": measured.per_second,
            "p50": measured.percentile(50),
            "p99": measured.percentile(99),
            "ttfs_p50": measured.percentile(50, first=True),
            "ttfs_p99": measured.percentile(99, first=True),
        }
        | more,
    )


def _journal(result: Result, server: Running, expected: int) -> None:
    """Check that a peer with a journal stored the `expected` turns, and the one turn that it answered at its start."""
    journal = Path(server.folder, "journal.sqlite3")
    if not journal.is_file():
        return
    connection = sqlite3.connect(journal)
    rows = connection.execute("SELECT count(*) FROM turns").fetchone()[0]
    connection.close()
    if rows != expected + 1:
        result.fail(MEASURE, f"the journal has {rows} turns, expected {expected + 1}")
