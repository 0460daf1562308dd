"""If the program that reads the server's output stops reading, calls continue.

Up to MOST_BYTES of lines are kept until the program reads again. Further lines are dropped, and their number is logged.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from layercode_app.observability import pipes

from ..ports import free_port
from ..processes import clean_environment

WRITER = """
import logging, multiprocessing, os, sys
from loguru import logger
from layercode_app.observability import logs, pipes, setup
pipes.MOST_BYTES = int(sys.argv[2])
logs.configure(log_format=sys.argv[1], log_dir="")
for number in range(3000):
    logger.info("line {}", number)
os.write(os.open("logged", os.O_CREAT | os.O_WRONLY), b"1")
sys.stdin.readline()
logs.flush()
logger.info("last")
setup.shutdown()
logger.info("very last")
if os.fork() == 0:
    logger.info("of a fork")
    os._exit(0)
os.wait()
os.kill(os.getpid(), 9)
"""


def written(folder: Path, log_format: str, most: int) -> list[str]:
    """Run the program WRITER, and return its lines. Nothing reads its output until it has logged 3000 lines."""
    stream = {"stdout" if log_format == "json" else "stderr": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, log_format, str(most)],
        cwd=folder, env=clean_environment(), stdin=subprocess.PIPE, **stream,
    ) as process:  # type: ignore[call-overload]  # fmt: skip
        deadline = time.monotonic() + 100
        while not (folder / "logged").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.stdin.write(b"go on\n")
        process.stdin.flush()
        read = process.stdout or process.stderr
        return [line.decode() for line in read]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_reader_that_pauses_loses_no_line(log_format: str, tmp_path: Path) -> None:
    lines = written(tmp_path, log_format, 4_000_000)
    if log_format == "json":
        lines = [json.loads(line)["message"] for line in lines]
    assert [line.strip().rpartition("  ")[2] for line in lines] == [
        *(f"line {number}" for number in range(3000)), "last", "very last", "of a fork",
    ]  # fmt: skip


def test_lines_that_are_dropped_are_counted(tmp_path: Path) -> None:
    messages = [json.loads(line)["message"] for line in written(tmp_path, "json", 200_000)]
    kept = sum(message.startswith("line") for message in messages)
    assert kept < 3000
    assert f"The reader of stdout was too slow: {3000 - kept} log lines were dropped." in messages


@pytest.mark.anyio
@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_calls_go_on_and_the_server_ends_if_nothing_reads_its_output(log_format: str, tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "one.py").write_text(
        "from layercode_app import VoiceAgent\nagent = VoiceAgent('one', greeting='Hello')\n"
    )
    port = free_port()
    read, write = os.pipe()
    env = clean_environment(LAYERCODE_WEBHOOK_SECRET="test-secret", LOG_FORMAT=log_format)
    process = subprocess.Popen(
        [sys.executable, "-m", "layercode_app", "run", "--agent", "one", "--port", str(port), "--host", "127.0.0.1"],
        cwd=tmp_path, env=env, stdout=write, stderr=write,
    )  # fmt: skip
    os.close(write)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            while True:
                try:
                    await client.get("/health")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.1)
            for _ in range(600):
                assert (await client.post("/api/agent", content=b"{}")).status_code == 401
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    finally:
        process.kill()
        os.close(read)


def test_lines_are_written_after_an_error_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    failed: list[str] = []

    def broken_tell(reason: str) -> None:
        raise RuntimeError(reason)

    with os.fdopen(write, "w") as stream, os.fdopen(read, "rb") as reader:
        monkeypatch.setattr(sys, "stdout", stream)
        pipe = pipes.Pipe("stdout")
        pipe.failed = failed.append
        with monkeypatch.context() as broken:
            broken.setattr(os, "write", lambda number, data: 1 / 0)
            pipe.write(b"lost\n")
            pipe.flush()
        assert failed == ["ZeroDivisionError"]
        pipe.failed = broken_tell
        with monkeypatch.context() as broken:
            broken.setattr(os, "write", lambda number, data: 1 / 0)
            broken.setattr(threading, "excepthook", lambda found: None)
            pipe.write(b"lost\n")
            assert pipe._thread is not None
            pipe._thread.join(10)
        pipe.write(b"kept\n")
        assert reader.readline() == b"kept\n"


def test_a_stream_that_is_replaced_during_a_write_ends_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream, os.fdopen(read, "rb") as reader:
        monkeypatch.setattr(sys, "stdout", stream)
        pipe = pipes.Pipe("stdout")
        real = os.write

        def replaced(number: int, data: bytes) -> int:
            pipe._number = None
            return real(number, data[:3])

        with monkeypatch.context() as replacing:
            replacing.setattr(os, "write", replaced)
            pipe.write(b"whole line\n")
            pipe.flush()
        assert reader.readline() == b"whole line\n"
