"""Measure the CPU of a turn in which a model, reached over HTTP, calls a tool and then streams 30 words, 10 ms apart.

    python -m benchmarks.spoken_turn

The baseline is a bare ASGI app with a PydanticAI agent. The same agent is measured in `run`, without sinks and with
all sinks: log files, spans to two receivers, metrics and errors. The FastAPI app of the platform's guide is measured
too, but its model calls no tool. The CPU of threads that export telemetry is included.

Aim: `run` with all sinks needs at most 1.15 times the CPU of the bare app.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import psutil

from tests.observability.collectors import collecting

from .load import drive
from .peers.model import ORDER, THIRTY, model_server
from .running import cpu_seconds
from .servers import agent_app
from .sinks import OFF, RUN, configurations, started

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
    """A server to measure: its name, the module that serves it, its path, and what its callers say."""

    name: str
    module: Sequence[str]
    path: str
    text: str
    env: dict[str, str]


def sides(collector: str) -> list[Side]:
    """Return the servers to measure. The first one is the baseline. `collector` is the URL that receives telemetry."""
    run, ours, environments = (*RUN, "--agent", "spoken"), "/api/agents/spoken", configurations(collector)
    guide = ("uvicorn", "benchmarks.peers.apps.fastapi_guide:app", "--log-level=warning", "--no-access-log")
    return [
        Side("bare PydanticAI", ("benchmarks.spoken_turn",), "/api/agent", ORDER, {}),
        Side("run, no sinks", run, ours, ORDER, OFF),
        Side("run, all sinks", run, ours, ORDER, environments["all on"]),
        Side("FastAPI guide, no tool", guide, "/webhook", THIRTY, {}),
    ]


def cost(side: Side, port: int, process: psutil.Process) -> float:
    """Return the milliseconds of CPU per turn, including the time to export telemetry afterwards."""
    before = cpu_seconds(process)
    measured = asyncio.run(drive(port, side.path, callers=CALLERS, turns=TURNS, remembering=False, text=side.text))
    if measured.failures:
        raise SystemExit(f"{side.name}: {measured.failures} turns failed")
    time.sleep(SETTLE_SECONDS)
    return (cpu_seconds(process) - before) * 1000 / (CALLERS * TURNS)


def main() -> int:
    """Measure the servers alternately in several rounds. Print each server's CPU per turn and its ratio to bare ASGI.

    Return 1 if `run` with all sinks needs more than `AIM` times the CPU of the bare app, else 0.
    """
    with collecting() as collector, model_server() as model, contextlib.ExitStack() as stack:
        keys = {"OPENAI_BASE_URL": model, "OPENAI_API_KEY": "test-key"}
        servers = [
            (side, *stack.enter_context(started(side.module, AGENT, keys | side.env))) for side in sides(collector.url)
        ]
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
        print(f"{name:24} {statistics.median(of):6.2f} ms of CPU per turn, {ratios[name]:.2f} times the bare app's CPU")
    print(f"aim: `run` with all sinks needs at most {AIM} times the bare app's CPU")
    return int(ratios["run, all sinks"] > AIM)


def serve_bare(port: int) -> None:
    """Serve the agent file's PydanticAI agent with nothing but ASGI."""
    import uvicorn

    names: dict[str, Any] = {}
    exec(AGENT, names)  # the same agent as that of `run`
    options: dict[str, Any] = {"http": "httptools", "loop": "uvloop", "access_log": False, "log_level": "warning"}
    uvicorn.run(agent_app(names["talk"]), host="127.0.0.1", port=port, **options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--port"]:
        serve_bare(int(sys.argv[2]))
    else:
        sys.exit(main())
