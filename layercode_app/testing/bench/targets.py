"""Targets of a measurement: a running webhook, or an agent that is served only while it is measured."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn
from urllib.error import URLError
from urllib.request import urlopen

from ...emulator.address import is_address, webhook_url
from ...exceptions import AgentImportError, AgentNotFoundError, ConfigurationError, DeveloperError
from ...server.port import free_port
from ...settings.environment import environment
from .measure import Target
from .usage import Server, server_of

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LAST_LINES = 12
ERRORS: dict[int, type[DeveloperError]] = {2: ConfigurationError, 3: AgentNotFoundError}
"""The error for each exit code of `run`."""


@dataclass(frozen=True)
class Serving:
    """Options of the `run` command that serves agents."""

    agents_dir: Path | None = None
    model: str | None = None


@contextmanager
def open_targets(names: Sequence[str], *, secret: str, serving: Serving) -> Iterator[list[Target]]:
    """Open one target for each name, in the given order. A name is a URL or an agent.

    Agents are served until the block ends or SIGTERM arrives. `secret` signs the requests to URLs. Raises
    AgentNotFoundError, ConfigurationError or DeveloperError if an agent cannot be served.
    """
    with ExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        found: list[Target] = []
        for name in names:
            label = f"{name} #{names[: len(found) + 1].count(name)}" if names.count(name) > 1 else name
            if is_address(name):
                url = webhook_url(name)
                found.append(Target(label, url, secret, server_of(url)))
            else:
                found.append(stack.enter_context(_served(name, label, serving)))
        yield found


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Exit the block on SIGTERM, so that its cleanup runs; by default the process would end at once."""
    code = 0

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal code
        code = 128 + number
        raise SystemExit(code)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except Exception:
        # An event loop may swallow the SystemExit in a callback; the interrupted turn then raises another error.
        if code:
            raise SystemExit(code) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _served(agent: str, label: str, serving: Serving) -> Iterator[Target]:
    """Serve an agent with the `run` command, in a separate process that is stopped at the end of the block.

    The process has a temporary journal, and neither telemetry nor alerts.
    """
    with TemporaryDirectory(prefix="layercode-bench-", ignore_cleanup_errors=True) as folder:
        port, secret, output = free_port(), f"bench-{secrets.token_hex(16)}", Path(folder, "output.txt")
        journal = f"sqlite:///{folder}/journal.sqlite3"
        command = [sys.executable, "-m", "layercode_app", "run", "--agent", agent, "--host", "127.0.0.1"]
        command += ["--port", str(port), "--store", journal]
        command += ["--agents", str(serving.agents_dir)] if serving.agents_dir else []
        command += ["--model", serving.model] if serving.model else []
        own = {
            "LAYERCODE_WEBHOOK_SECRET": secret, "LAYERCODE_AGENT_SECRETS": json.dumps({agent: secret}),
            "LAYERCODE_AGENT_ROUTE": "/api/agent", "LAYERCODE_ALERTS": "[]", "LAYERCODE_DRAIN_SECONDS": "1", "TELEMETRY_ENABLED": "false", "LOG_DIR": "",
        }  # fmt: skip
        with output.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - it is our own command, with no shell
                command, env={**environment(), **own}, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        try:
            _wait_for(agent, port, process, output)
            yield Target(label, f"http://127.0.0.1:{port}/api/agent", secret, Server([process.pid]), journal)
        finally:
            _stop(process)


def _wait_for(agent: str, port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _reason(agent, process.returncode, output)
        try:
            urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
        except (URLError, HTTPException, OSError):
            time.sleep(0.05)
        else:
            return
    raise DeveloperError(f"Agent {agent!r} did not start within {START_SECONDS:g} s.\n{_last_lines(output)}")


def _reason(agent: str, code: int, output: Path) -> DeveloperError:
    """Return the error with which the `run` command ended, read from its output and exit code."""
    before, marker, said = output.read_text(errors="replace").rpartition("Error: ")
    if marker and code in ERRORS:
        kind = AgentImportError if code == 3 and "Traceback" in before else ERRORS[code]
        error = kind(said.strip())
        if isinstance(error, AgentImportError):
            error.traceback = before[before.index("Traceback") :].strip()
        return error
    return DeveloperError(f"`run --agent {agent}` ended with exit code {code}.\n{_last_lines(output)}")


def _last_lines(output: Path) -> str:
    return "\n".join(output.read_text(errors="replace").splitlines()[-LAST_LINES:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
