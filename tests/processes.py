"""Start the command line as a real process, and tell when it listens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
START_SECONDS = 100.0


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a child: nothing of ours that would change its settings, but what measures it."""
    names = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_FILE", "SSL_CERT_FILE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "LOG_DIR": "", "TELEMETRY_ENABLED": "false", **more}


def run(*arguments: str, cwd: Path, **env: str) -> tuple[int, str]:
    """A command in a process of its own, to its end: its exit code and all that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "layercode_app", *arguments],
        cwd=cwd, env=clean_environment(**env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


@asynccontextmanager
async def command(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, output: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command line in a folder; what it prints goes to a file there. What still runs is killed, workers too."""
    with (output or cwd / "output.txt").open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "layercode_app", *arguments,
            cwd=cwd, env=clean_environment(**(env or {})), stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        # Also when it has ended: its workers may not have.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def listening(url: str, process: asyncio.subprocess.Process) -> None:
    """Wait until something answers there."""
    deadline = time.monotonic() + START_SECONDS
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline and process.returncode is None:
            try:
                await client.get(f"{url}/health")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    raise AssertionError(f"nothing listens on {url}; the process's exit code is {process.returncode}")
