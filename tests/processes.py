"""Start the command line as a real process, and wait until it listens."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from . import forked
from .forked import AsyncProcess

ROOT = Path(__file__).parent.parent
START_SECONDS = 100.0

hangs_up = pytest.mark.skipif(
    signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="under nohup, the programs of the tests ignore SIGHUP too"
)

MEASURED_BY = Path(__file__).with_name("programs.coveragerc")


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment variables for a child process.

    The result has a few basic variables of this process, its variables for coverage, some defaults, and `more`. Other
    variables of this process are left out, because they could change the settings of the child.
    """
    names = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_FILE", "SSL_CERT_FILE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    if "COVERAGE_PROCESS_START" in os.environ:
        kept["COVERAGE_PROCESS_START"] = str(MEASURED_BY)
    return {**kept, "PYTHONPATH": str(ROOT), "LOG_DIR": "", "TELEMETRY_ENABLED": "false", **more}


def runs(pid: int) -> bool:
    """Return whether a process runs. A process that has ended, and only waits to be reaped, does not count."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        # If the system has /proc, the process has just ended. Otherwise `os.kill` has shown that it runs.
        return not Path("/proc").exists()


def run(
    *arguments: str, cwd: Path, cold: bool = False, env: Mapping[str, str] | None = None, **more: str
) -> tuple[int, str]:
    """Run a command to its end. Return its exit code and its output. `cold` starts a new interpreter for it."""
    command = ["-m", "layercode_app", *arguments]
    given = clean_environment(**(env or {}), **more)
    done = forked.run(command, cwd=cwd, env=given, cold=cold, together=True)
    return done.returncode, done.stdout


@asynccontextmanager
async def command(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    output: Path | None = None,
    cold: bool = False,
    prefix: Sequence[str] = (),
) -> AsyncIterator[AsyncProcess]:
    """Run a command in a folder, and write its output to a file there. At the end, kill the command and its workers.

    `prefix` is a program, such as `unshare`, that replaces itself (by exec) with the command that follows it.
    """
    with (output or cwd / "output.txt").open("ab") as file:
        started = forked.start(
            ["-m", "layercode_app", *arguments],
            cwd=cwd, env=clean_environment(**(env or {})), stdout=file, stderr=file,
            new_session=True, cold=cold, prefix=prefix,
        )  # fmt: skip
    process = AsyncProcess(started)
    try:
        yield process
    finally:
        # Kill the process group even if the command has ended, because its workers may still run.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def listening(url: str, process: AsyncProcess | asyncio.subprocess.Process) -> None:
    """Wait until a server answers at `url`. Fail if the process ends first."""
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
