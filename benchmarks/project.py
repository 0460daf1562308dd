"""Make one project, then install, test, lint, type-check and run it, as its owner would, in a new virtual environment.

Only uv and a wheel of this checkout are installed in advance. The Makefile of each project installs everything into a
new virtual environment. Projects share only caches: uv's downloads (hard-linked into each environment), compiled
bytecode and mypy's cache. A `Workshop` makes all its projects in the same folder, one after another, so the caches stay
valid. Workshops that run at the same time do not share mypy's cache.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.scaffold.conversations import CONVERSATIONS, DEFAULT
from layercode_app.testing.events import message

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "build/projects"
NAME = "my-agent"
WAIT_SECONDS = 300
_INHERITED = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "TMPDIR")


class StepError(Exception):
    """A step of a project failed. The message contains the end of the step's output."""


class Workshop:
    """A folder to make and check one project at a time, with the tools for this work.

    Workshops that run at the same time need different `bench` numbers, which name their folders.
    """

    def __init__(self, bench: int = 1, place: Path = PLACE) -> None:
        self.place = place
        self.bin = place / "tools/bin"
        self.folder = place / f"work{bench}" / NAME
        inherited = {name: value for name, value in os.environ.items() if name in _INHERITED}
        self.environment = inherited | {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "UV_CACHE_DIR": str(place / "cache/uv"),
            "PYTHONPYCACHEPREFIX": str(place / "cache/bytecode"),
            "MYPY_CACHE_DIR": str(place / f"cache/mypy{bench}"),
        }

    def set_up(self) -> None:
        """Build the wheel of this checkout. Install the wheel and uv into the environment `tools`."""
        dist = self.place / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        self.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)], ROOT)
        if not self.bin.exists():
            self.run([sys.executable, "-m", "venv", str(self.bin.parent)], self.place)
            self.run([str(self.bin / "python"), "-m", "pip", "install", "--quiet", "uv"], self.place)
        wheel = next(dist.glob("*.whl"))
        install = ["pip", "install", "--quiet", "--python", str(self.bin / "python"), "--reinstall-package"]
        self.run([str(self.bin / "uv"), *install, "layercode-app", str(wheel)], self.place)

    def run(self, command: list[str], cwd: Path, **more: str) -> None:
        """Run a program. Raises StepError with the end of its output if it fails."""
        done = subprocess.run(
            command, cwd=cwd, env=self.environment | more, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=WAIT_SECONDS,
        )  # fmt: skip
        if done.returncode != 0:
            raise StepError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}")

    def take(self, agent: str, extras: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        """Make a project, then install, test, lint, type-check and run it. Yield the name and seconds of each step.

        Raises StepError if a step fails.
        """
        shutil.rmtree(self.folder.parent, ignore_errors=True)
        self.folder.parent.mkdir(parents=True)
        new = [str(self.bin / "layercode-create-app"), "new", NAME, "--agent", agent, "--with", ",".join(extras), "-y"]
        new += ["--no-vendor", "--no-git"]
        yield "new", self._timed(new, self.folder.parent)
        began = time.monotonic()
        self._install()
        yield "install", time.monotonic() - began
        yield "test", self._timed(["make", "test"], self.folder)
        yield "lint", self._timed([".venv/bin/ruff", "check", "."], self.folder)
        yield "format", self._timed([".venv/bin/ruff", "format", "--check", "."], self.folder)
        yield "types", self._timed([".venv/bin/mypy", "--strict"], self.folder)
        began = time.monotonic()
        with self._serving() as url:
            asyncio.run(_hold_a_turn(url, _secret(self.folder), agent))
        yield "run", time.monotonic() - began

    def _install(self) -> None:
        """Install the project from the cache. If that fails, for example for a missing package, allow downloads."""
        make = ["make", ".venv/.installed"]
        try:
            self.run(make, self.folder, UV_OFFLINE="1")
        except StepError:
            self.run(make, self.folder)

    def _timed(self, command: list[str], cwd: Path) -> float:
        began = time.monotonic()
        self.run(command, cwd)
        return time.monotonic() - began

    @contextmanager
    def _serving(self) -> Iterator[str]:
        """Run `make run` in a new process group, and terminate the group at the end. Yield the URL."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        log, url = self.folder.parent / "run.txt", f"http://127.0.0.1:{port}"
        command = ["make", "run", f"ARGS=--port {port}"]
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        try:
            _wait_until_ready(url, process, log)
            yield url
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise StepError(f"make run: not ready at {url}\n{log.read_text()[-3000:]}")


async def _hold_a_turn(url: str, secret: str, agent: str) -> None:
    """Send one signed turn: the first line of the agent's test conversation. Raises StepError for a wrong answer."""
    line = CONVERSATIONS.get(agent, DEFAULT)[0]
    async with WebhookClient(f"{url}/api/agent", secret) as client, client.deliver(message(line.say)) as answer:
        if not answer.is_stream:
            raise StepError(f"make run: {line.say!r} was answered with {answer.status} and no stream")
        frames = [frame async for frame in answer.frames()]
    spoken = "".join(str(frame.content) for frame in frames if frame.type == "response.tts")
    if not spoken or line.heard not in spoken or frames[-1].type != "response.end":
        raise StepError(f"make run: {line.say!r} was answered with {spoken!r}; expected {line.heard!r}")


def _secret(project: Path) -> str:
    found = re.search(r"^LAYERCODE_WEBHOOK_SECRET=(.+)$", (project / ".env").read_text(), re.MULTILINE)
    if found is None:
        raise StepError(".env has no LAYERCODE_WEBHOOK_SECRET")
    return found[1]
