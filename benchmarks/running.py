"""Run the real server for a benchmark: `run` in a separate process, with journal, JSON log and metrics."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from layercode_app.testing.bench.connection import Address

from .load import SECRET

ROOT = Path(__file__).parent.parent
PARTS = 40


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used so far. A busy machine hardly changes this figure."""
    times = process.cpu_times()
    return times.user + times.system


@dataclass
class Running:
    """A running server, with its log and its memory."""

    port: int
    process: psutil.Process
    log: Path
    memory: list[float] = field(default_factory=list)
    """Resident megabytes, at each call of `look`."""

    def at(self, path: str) -> Address:
        """Return the address of a route."""
        return Address(f"http://127.0.0.1:{self.port}{path}")

    def look(self) -> float:
        """Record the memory, and return it in megabytes."""
        self.memory.append(self.process.memory_info().rss / 1e6)
        return self.memory[-1]

    def errors(self) -> list[str]:
        """Return the log lines that are errors, or that are not JSON, such as a traceback."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if _is_error(line)]

    def report(self, *, grown: float) -> bool:
        """Print the errors, and the memory in each quarter of the run. Return whether all is well.

        The first tenth of the run is a warm-up and does not count. The last quarter may be at most `grown` megabytes
        above the second. The first quarter is not compared, because caches fill during it.
        """
        warm, rest = self.memory[: len(self.memory) // 10], self.memory[len(self.memory) // 10 :]
        quarters = [statistics.median(rest[len(rest) * n // 4 : len(rest) * (n + 1) // 4]) for n in range(4)]
        shown = "  ".join(f"{mb:.1f}" for mb in quarters)
        print(f"memory, MB: start {warm[0]:.1f}   quarters {shown}   end {self.memory[-1]:.1f}   most {max(rest):.1f}")
        found = self.errors()
        print(f"errors in the log: {len(found)}")
        for line in found[:5]:
            print(f"  {line[:300]}")
        return not found and quarters[3] - quarters[1] <= grown


def _is_error(line: str) -> bool:
    try:
        return json.loads(line)["level"] in ("ERROR", "CRITICAL")
    except (ValueError, KeyError, TypeError):
        return bool(line.strip())


@contextmanager
def running(
    folder: str,
    *,
    agent: str = "echo",
    agents: Path = ROOT / "agents",
    program: Sequence[str] = ("layercode_app",),
    **environment: str,
) -> Iterator[Running]:
    """Serve the agents of the folder `agents` with the command `run`. The working directory is `folder`.

    `program` is the module to start with `python -m`, followed by the module's own arguments. `environment` adds
    environment variables.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path(folder, "server.log")
    command = [sys.executable, "-m", *program, "run", "--agent", agent, "--agents", str(agents), "--examples"]
    command += ["--model", "offline", "--host", "127.0.0.1", "--port", str(port)]
    own = {
        "LAYERCODE_WEBHOOK_SECRET": SECRET,
        "LOG_FORMAT": "json",
        "LOG_DIR": "",
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=file, stderr=file)
    try:
        _wait_for(port, process)
        yield Running(port, psutil.Process(process.pid), log)
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("the server ended before it listened")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server never listened")
