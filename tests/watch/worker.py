"""One host for the tests: a server of two workers, as `run` starts it. Several such hosts share one journal."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .. import forked
from ..processes import START_SECONDS

AGENT = '''
"""Priced: answers through a model that has a price."""
from collections.abc import AsyncIterator
from typing import Any
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel
from layercode_app import Turn, VoiceAgent

async def words(messages: Any, info: Any) -> AsyncIterator[str]:
    yield "That is done."

agent = VoiceAgent("priced", Agent(FunctionModel(stream_function=words, model_name="gpt-5-mini"), deps_type=Turn))
'''


@contextmanager
def host(folder: Path, port: int, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a server process with two workers, and yield the URL of its webhook."""
    command = ["-m", "layercode_app", "run", "--agent", "priced", "--workers", "2"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--agents", str(folder / "agents")]
    with (folder / f"server-{port}.log").open("wb") as log:
        env = {**os.environ, **environment}
        process = forked.start(command, cwd=folder, env=env, stdout=log, stderr=log, new_session=True)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/ready", process, folder / f"server-{port}.log")
        yield f"http://127.0.0.1:{port}/api/agent"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def _wait_until_ready(url: str, process: forked.Started, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"not ready in time: {log.read_text()}")
