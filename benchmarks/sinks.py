"""Measure what each sink costs: the server's CPU per turn and per frame with no sink, each sink, and all sinks.

    python -m benchmarks.sinks [NAME ...]

Uses real servers (`run`), signed turns over HTTP, and a PydanticAI agent whose model streams 30 or 130 words without a
pause. Real receivers for spans, metrics and errors run in this process. CPU includes the server's exporting threads.
Aim: with all sinks, a turn of 30 frames costs at most 1.25 times as much as with none. `--faults` measures something
else: the p99 of the time to first speech while every sink refuses, hangs or fails. Aim: at most 1.2 times the p99 with
healthy sinks.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from tests.observability.collectors import collecting, refused_url
from tests.ports import free_port
from tests.processes import clean_environment

from .load import SECRET, drive
from .running import cpu_seconds

AGENT = '''
"""Streams words."""
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel
from layercode_app import VoiceAgent

def words(count):
    async def stream(messages, info):
        for number in range(count):
            yield f"word{number} "
    return FunctionModel(stream_function=stream, model_name="words")

short = VoiceAgent("short", Agent(words(30)))
long = VoiceAgent("long", Agent(words(130)))
'''
ROUNDS, SLICES, CALLERS = 7, 10, 4
TURNS = {"short": 5, "long": 1}
"""The number of turns that each caller makes in each slice of a round."""
FAULT_TURNS, FAULT_AIM = 50, 1.2
SETTLE_SECONDS = 0.8
TOKEN = "pylf_v1_us_testtoken0123456789abcdef"
OFF = {"TELEMETRY_ENABLED": "false", "LOG_LEVEL": "ERROR", "LOG_DIR": ""}
ON = {"TELEMETRY_ENABLED": "true"}
RUN = ("layercode_app", "run", "--host", "127.0.0.1")
"""The module that serves agents, and its options."""


def configurations(url: str) -> dict[str, dict[str, str]]:
    """Return the environment variables of each configuration, by its name."""
    logfire = {"LOGFIRE_TOKEN": TOKEN, "LOGFIRE_BASE_URL": url}
    otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
    sentry = {"SENTRY_DSN": url.replace("://", "://public@") + "/1"}
    logs = {"LOG_LEVEL": "INFO", "LOG_DIR": "logs"}
    return {
        "all off": OFF,
        "console": {**OFF, "LOG_LEVEL": "INFO"},
        "console and files": {**OFF, **logs},
        "metrics": {**OFF, **ON},
        "sentry": {**OFF, **ON, **sentry},
        "otlp": {**OFF, **ON, **otlp},
        "logfire": {**OFF, **ON, **logfire},
        "all on": {**ON, **logs, **logfire, **otlp, **sentry},
    }


Served = tuple[int, psutil.Process]
"""A server: its port and process."""


@contextlib.contextmanager
def server(env: Mapping[str, str]) -> Iterator[Served]:
    """Run a server with the agents of this benchmark."""
    with started((*RUN, "--agent", "short"), AGENT, env) as served:
        yield served


@contextlib.contextmanager
def started(module: Sequence[str], agent: str, env: Mapping[str, str]) -> Iterator[Served]:
    """Run a server in a new folder whose only agent file has the source text `agent`.

    `module` is the name of the server's module and its options; the option `--port` is added.
    """
    port = free_port()
    quick = {"OTEL_BSP_SCHEDULE_DELAY": "500", "LAYERCODE_WEBHOOK_SECRET": SECRET}
    with tempfile.TemporaryDirectory() as folder:
        agents = Path(folder, "agents")
        agents.mkdir()
        (agents / "agent.py").write_text(agent)
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "--port", str(port)],
            cwd=folder,
            env=clean_environment(**{**quick, **env}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(port)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/health")
            return
        time.sleep(0.1)
    raise SystemExit(f"no server on port {port}")


async def _drive(port: int, agent: str, turns: int) -> list[float]:
    measured = await drive(port, f"/api/agents/{agent}", callers=CALLERS, turns=turns, remembering=False)
    if measured.failures:
        raise SystemExit(f"{measured.failures} turns failed")
    return measured.first


def costs(chosen: Sequence[str]) -> int:
    """Print the CPU per turn and per frame of the chosen configurations, or of all."""
    with collecting() as collector:
        environments = configurations(collector.url)
        names = [name for name in environments if name in chosen or not chosen]
        found: dict[str, list[Cost]] = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name in names:
                found[name].append(_against_off(environments[name]))
                collector.bodies.clear()
                collector.headers.clear()
    print(f"{'':18} CPU ms of 30 frames   ratio (least, most)  us per extra frame")
    for name, of in found.items():
        short, long = (statistics.median(getattr(one, field) for one in of) for field in ("short", "long"))
        ratios = sorted(one.ratio for one in of)
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"
        print(f"{name:18} {short:19.2f}   {spread:19} {(long - short) / 100 * 1000:17.1f}")
    return 0


class Cost(NamedTuple):
    """The CPU milliseconds of a turn of 30 frames (`short`) and of 130 frames (`long`).

    `ratio` is `short` divided by its value with all sinks off.
    """

    short: float
    long: float
    ratio: float


def _against_off(environment: Mapping[str, str]) -> Cost:
    """Measure one round: a server with this environment against a server with all sinks off.

    The two servers run a few turns alternately, because the speed of a shared machine changes from second to second.
    Each round starts new servers, because one of two identical processes may be some percent slower until it ends.
    """
    with server(OFF) as base, server(environment) as other:
        for port, _ in (base, other):
            asyncio.run(_drive(port, "short", 10))
        off, short = _in_turns([base, other], "short")
        (long,) = _in_turns([other], "long")
    return Cost(short, long, short / off)


def _in_turns(servers: Sequence[Served], agent: str) -> list[float]:
    """Drive the servers alternately. Return each server's CPU milliseconds per turn.

    The figures include the export of telemetry after the turns.
    """
    before = [cpu_seconds(process) for _, process in servers]
    for number in range(SLICES):
        for port, _ in servers if number % 2 else reversed(servers):
            asyncio.run(_drive(port, agent, TURNS[agent]))
    time.sleep(SETTLE_SECONDS)
    used = [cpu_seconds(process) - at_first for (_, process), at_first in zip(servers, before, strict=True)]
    return [seconds * 1000 / (SLICES * TURNS[agent] * CALLERS) for seconds in used]


def faults() -> int:
    """Print how faulty sinks change the p99 of the time to first speech. Return 1 if a p99 exceeds the aim."""
    with contextlib.ExitStack() as stack:
        urls = {mood: stack.enter_context(collecting(mood)).url for mood in ("ok", "hang", "error", "garbage")}
        urls["refused"] = refused_url()
        running = {
            mood: stack.enter_context(server({**configurations(url)["all on"], "OTEL_BSP_SCHEDULE_DELAY": "500"}))
            for mood, url in urls.items()
        }
        for port, _ in running.values():
            asyncio.run(_drive(port, "short", 10))
        found: dict[str, list[float]] = {mood: [] for mood in running}
        for _ in range(ROUNDS):
            for mood, (port, _) in running.items():
                firsts = sorted(asyncio.run(_drive(port, "short", FAULT_TURNS)))
                found[mood].append(firsts[int(len(firsts) * 0.99)])
    healthy = statistics.median(found["ok"])
    ratios = {mood: statistics.median(p99s) / healthy for mood, p99s in found.items()}
    for mood, p99s in found.items():
        print(f"{mood:8} p99 of TTFS {statistics.median(p99s):7.2f} ms, ratio {ratios[mood]:.2f}")
    return 0 if max(ratios.values()) <= FAULT_AIM else 1


if __name__ == "__main__":
    sys.exit(faults() if "--faults" in sys.argv else costs(sys.argv[1:]))
