"""Follows the tutorial as a reader does: writes its files, runs its commands, and compares the commands' output.

A marker above a code block tells the kind of the block:

- `<!-- file: PATH -->`: the new content of an existing file; PATH is relative to the reader's current folder
- `<!-- background: URL -->`: the command of a server for the rest of the page; the server is up when URL answers
  `/health`
- `<!-- expect -->`: the expected output of the last command; each line of the block is a printed line or a part of one,
  in the printed order
- `<!-- skip: why -->`: a command that the test does not run
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from ..markdown import ROOT, Block, blocks_of

PAGES = sorted((ROOT / "docs/tutorial").glob("[0-9]*.md"))
SECONDS = 240


class Reader:
    """A reader at a terminal, in an environment where only the package is installed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.printed = ""
        self._port = str(port)
        self._where = folder / ".where"
        ours = ("LAYERCODE_", "OPENAI_", "ANTHROPIC_", "LOGFIRE_", "SENTRY_", "OTEL_", "MAKE", "PYTEST_", "COV_CORE_")
        kept = {
            name: text for name, text in os.environ.items() if not name.startswith(ours) or name == "LAYERCODE_WHEEL"
        }
        self._environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PORT": self._port,
            # Disable pytest-asyncio. It is installed here and prints a warning, but a reader does not have it.
            "PYTEST_ADDOPTS": "-p no:asyncio",
        }

    def follow(self, page: Path) -> None:
        """Do every step of a page."""
        with contextlib.ExitStack() as servers:
            for block in blocks_of(page.name, page.read_text(encoding="utf-8")):
                if block.marker.startswith("file: "):
                    self._write(block)
                elif block.marker == "expect":
                    self._compare(block)
                elif block.marker.startswith("background: "):
                    servers.enter_context(self._serving(block))
                elif block.language == "sh" and not block.skipped:
                    self._run(block)

    def _write(self, block: Block) -> None:
        path = self.folder / block.marker.removeprefix("file: ")
        assert path.is_file(), f"{block.place} replaces {path}, which is not there"
        path.write_text(block.code, encoding="utf-8")

    def _run(self, block: Block) -> None:
        self._install()
        script = f"{self._on_free_port(block.code)}\npwd > {self._where}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        self.printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{block.place}: {block.code}ended with {done.returncode}:\n{self.printed}"
        self.folder = Path(self._where.read_text(encoding="utf-8").strip())

    def _install(self) -> None:
        """Let the project's Makefile use this environment, so that it does not install the same packages again."""
        environment = self.folder / ".venv"
        if (self.folder / "Makefile").is_file() and not environment.exists():
            environment.mkdir()
            for name in ("bin", "lib", "pyvenv.cfg"):
                (environment / name).symlink_to(Path(sys.prefix) / name)
            (environment / ".installed").touch()

    def _compare(self, block: Block) -> None:
        lines = iter(_even(line) for line in self.printed.splitlines())
        for expected in map(_even, block.code.splitlines()):
            found = any(expected in line for line in lines)
            assert found, f"{block.place} says {expected!r}, the command printed:\n{self.printed}"

    @contextlib.contextmanager
    def _serving(self, block: Block) -> Iterator[None]:
        """Keep a server running until the page ends, and stop it with Ctrl-C."""
        log = (self.folder / "server.log").open("w+", encoding="utf-8")
        command = ["bash", "-c", self._on_free_port(block.code)]
        server = subprocess.Popen(
            command, cwd=self.folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_for(self._on_free_port(block.marker.removeprefix("background: ")) + "/health", server, Path(log.name))
            yield
            os.killpg(server.pid, signal.SIGINT)
            server.wait(SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait(SECONDS)
            log.close()

    def _on_free_port(self, text: str) -> str:
        return text.replace("8000", self._port)


def _even(line: str) -> str:
    return " ".join(line.split())


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, f"the server ended:\n{log.read_text(encoding='utf-8')}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer:\n{log.read_text(encoding='utf-8')}")
