"""Measure the CPU of a spoken turn: a model over HTTP calls a tool, and then streams 30 words, 10 ms apart.

    python -m benchmarks.spoken_turn

Compares `run` without sinks and with all sinks (log files, spans to two receivers, metrics, errors) with a bare ASGI app
that runs the same PydanticAI agent, and with FastAPI as in the platform's guide, whose model calls no tool. CPU
includes the server's exporting threads. Aim: with all sinks, at most 1.15 times the CPU of the bare app.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.observability.collectors import collecting
from tests.ports import free_port
from tests.processes import clean_environment

from .load import SECRET, drive
from .peers.model import ORDER, THIRTY, model_server
from .servers import agent_app
from .sinks import OFF, configurations, wait_until_served

ROUNDS, CALLERS, TURNS = 5, 8, 5
SETTLE_SECONDS = 0.8
AIM = 1.15

AGENT = '''
"""Orders, and says so in 30 words."""
from pydantic_ai import Agent
from layercode_app import VoiceAgent

talk = Agent("openai-chat:gpt-test", instructions="Be brief.")


@talk.tool_plain
def order(item: str, count: int) -> str:
    """Order something."""
    return f"{count} of {item} ordered"


agent = VoiceAgent("spoken", talk)
'''


class Side(NamedTuple):
    """A server to measure: its name, its command without the port, its path, and what its callers say."""

    name: str
    command: Sequence[str]
    path: str
    text: str
    env: dict[str, str]


def sides(collector: str) -> list[Side]:
    """Return the servers; the first one is what the others are compared with."""
    run = ("layercode_app", "run", "--agent", "spoken", "--host", "127.0.0.1", "--port")
    ours, environments = "/api/agents/spoken", configurations(collector)
    guide = (
        "uvicorn",
        "benchmarks.peers.apps.fastapi_guide:app",
        "--log-level",
        "warning",
        "--no-access-log",
        "--port",
    )
    return [
        Side("bare PydanticAI", ("benchmarks.spoken_turn", "--serve"), "/api/agent", ORDER, {}),
        Side("run, no sinks", run, ours, ORDER, OFF),
        Side("run, all sinks", run, ours, ORDER, environments["all on"]),
        Side("FastAPI guide, no tool", guide, "/webhook", THIRTY, {}),
    ]


@contextlib.contextmanager
def serving(side: Side, model: str) -> Iterator[tuple[int, psutil.Process]]:
    """Start one side. Yield its port and its process."""
    port = free_port()
    given = {"OPENAI_BASE_URL": model, "OPENAI_API_KEY": "test-key", "LAYERCODE_WEBHOOK_SECRET": SECRET}
    with tempfile.TemporaryDirectory() as folder:
        (agents := Path(folder, "agents")).mkdir()
        (agents / "spoken.py").write_text(AGENT)
        environment = clean_environment(**{**given, "OTEL_BSP_SCHEDULE_DELAY": "500", **side.env})
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(
            [sys.executable, "-m", *side.command, str(port)], cwd=folder, env=environment, **quiet
        )
        try:
            wait_until_served(port)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def cost(side: Side, port: int, process: psutil.Process) -> float:
    """Return the milliseconds of CPU per turn, including the time to export telemetry afterwards."""
    before = _cpu_seconds(process)
    measured = asyncio.run(drive(port, side.path, callers=CALLERS, turns=TURNS, remembering=False, text=side.text))
    if measured.failures:
        raise SystemExit(f"{side.name}: {measured.failures} turns failed")
    time.sleep(SETTLE_SECONDS)
    return (_cpu_seconds(process) - before) * 1000 / (CALLERS * TURNS)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> int:
    """Measure all sides alternately, and print the CPU per turn and the ratios. Return 1 if the aim is missed."""
    with collecting() as collector, model_server() as model, contextlib.ExitStack() as stack:
        servers = [(side, *stack.enter_context(serving(side, model))) for side in sides(collector.url)]
        found: dict[str, list[float]] = {side.name: [] for side, _, _ in servers}
        for number in range(ROUNDS + 1):
            for side, port, process in servers:
                milliseconds = cost(side, port, process)
                if number > 0:  # The first round warms up.
                    found[side.name].append(milliseconds)
            collector.bodies.clear()
            collector.headers.clear()
    base = found[servers[0][0].name]
    ratios = {name: statistics.median(a / b for a, b in zip(of, base, strict=True)) for name, of in found.items()}
    for name, of in found.items():
        print(f"{name:24} {statistics.median(of):6.2f} ms of CPU a turn, {ratios[name]:.2f} of bare")
    print(f"aim: at most {AIM} of bare with all sinks")
    return int(ratios["run, all sinks"] > AIM)


def serve_bare(port: int) -> None:
    """Serve the agent file's PydanticAI agent with nothing but ASGI."""
    import uvicorn

    names: dict[str, Any] = {}
    exec(AGENT, names)  # the same agent as the other side's file
    options: dict[str, Any] = {"http": "httptools", "loop": "uvloop", "access_log": False, "log_level": "warning"}
    uvicorn.run(agent_app(names["talk"]), host="127.0.0.1", port=port, **options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve_bare(int(sys.argv[2]))
    else:
        sys.exit(main())
