"""A server in a process of its own (tests/served.py), for the tests that kill one or run two."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import forked
from .ports import free_port

SECRET = "test-secret"
START_SECONDS = 100


class ServerProcess:
    """One server on a port of its own; `kill` is kill -9, and `start` may be called again."""

    def __init__(self, store: str, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.payments = folder / "payments"
        self.starts = folder / f"starts-{self.port}"
        self._errors = folder / f"stderr-{self.port}"
        own = {"LAYERCODE_STORE": store, "LAYERCODE_WEBHOOK_SECRET": SECRET, "PAYMENTS": str(self.payments)}
        own["STARTS"] = str(self.starts)
        # A busy machine must not change an answer.
        own |= {"LAYERCODE_FIRST_TOKEN_TIMEOUT": "100", "LAYERCODE_PIECE_TIMEOUT": "100"}
        # The command line sets this too. With it, a start takes a quarter less time.
        own["PYDANTIC_DISABLE_PLUGINS"] = "logfire-plugin"
        self._environment = {**os.environ, **own, **environment}
        self._process: forked.Started | None = None

    def start(self) -> ServerProcess:
        with self._errors.open("ab") as errors:
            command = ["-m", "tests.served", str(self.port)]
            root = Path(__file__).parent.parent
            self._process = forked.start(command, env=self._environment, cwd=root, stderr=errors)
        deadline = time.monotonic() + START_SECONDS
        while self.get("/health")[0] != 200:
            assert self._process.poll() is None, self._errors.read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        return self

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(START_SECONDS)

    @property
    def paid(self) -> list[str]:
        """The conversations for which the payer's tool ran, at any server of this folder."""
        return self.payments.read_text().split() if self.payments.exists() else []

    @property
    def started(self) -> list[str]:
        """The turns with the text `wait` that began at this server."""
        return self.starts.read_text().split() if self.starts.exists() else []


@contextmanager
def server_on(store: str, folder: Path, **environment: str) -> Iterator[ServerProcess]:
    """Start a server with the journal `store` and without fillers. Stop it at the end of the block."""
    server = ServerProcess(store, folder, LAYERCODE_FILLER="off", **environment).start()
    try:
        yield server
    finally:
        server.stop()
