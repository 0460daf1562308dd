"""Several workers, or one with --reload: how they stop, are replaced, and notice that their supervisor has died."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from layercode_app import LayerCode, VoiceAgent
from layercode_app._compat.uvicorn_workers import REPLACE, STOP
from layercode_app.exceptions import ConfigurationError, DeliveryError
from layercode_app.server import shutdown
from layercode_app.server.port import check_port

from ..calling import settings
from ..processes import runs
from ..waiting import until
from .test_shutdown import Server, assert_ended_once, begin, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DRAINING = "no new turns are accepted"


def workers_of(server: Server) -> list[int]:
    """The workers of a server. It has one more child, which is the resource tracker of `multiprocessing`."""
    children = psutil.Process(server.process.pid).children()
    return [child.pid for child in children if "spawn_main" in str(child.cmdline())]


async def logged(folder: Path, text: str, times: int = 1) -> None:
    await until(lambda: (folder / "output.txt").read_text().count(text) >= times, seconds=100)


@asynccontextmanager
async def two_workers(folder: Path, drain_seconds: int) -> AsyncIterator[Server]:
    """A server whose two workers have both started."""
    more = {"LAYERCODE_DRAIN_SECONDS": str(drain_seconds), "LAYERCODE_BUSY": "Busy!", "LOG_LEVEL": "DEBUG"}
    async with running(folder, "--workers", "2", **more) as server:
        await logged(folder, "Application startup complete", 2)
        yield server


async def test_callers_of_workers_that_stop_hear_that_the_server_is_busy(tmp_path: Path) -> None:
    async with two_workers(tmp_path, 300) as server:
        tasks = await begin(server, 12, "1000 0.2")
        server.process.send_signal(signal.SIGTERM)
        await logged(tmp_path, DRAINING, 2)
        late = await server.talk(99, "1 0")
        async with httpx.AsyncClient() as client:
            ready = await client.get(server.url + "/ready")
        (tmp_path / "enough").touch()
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert late.spoken == "Busy!"
    assert ready.status_code == 503
    assert_ended_once([*streams, late])
    assert code == 0


async def test_one_signal_to_all_processes_of_the_server_is_one_request(tmp_path: Path) -> None:
    """An init such as systemd sends it. The supervisor may handle it later than the workers."""
    async with two_workers(tmp_path, 300) as server:
        tasks = await begin(server, 6, "1000 0.2")
        server.process.send_signal(signal.SIGSTOP)
        os.killpg(server.process.pid, signal.SIGTERM)
        await logged(tmp_path, DRAINING, 2)
        await asyncio.sleep(0.4)
        server.process.send_signal(signal.SIGCONT)
        await logged(tmp_path, "Waiting for child process")  # The supervisor has told the workers to stop.
        await asyncio.sleep(0.6)
        assert not any(task.done() for task in tasks)
        (tmp_path / "enough").touch()
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert "Second stop signal" not in (tmp_path / "output.txt").read_text()
    assert_ended_once(streams)
    assert code == 0


async def test_a_second_signal_to_the_supervisor_ends_the_workers_turns_at_once(tmp_path: Path) -> None:
    async with two_workers(tmp_path, 600) as server:
        tasks = await begin(server, 6, "10000 0.2")
        server.process.send_signal(signal.SIGTERM)
        await logged(tmp_path, DRAINING, 2)
        await asyncio.sleep(0.6)
        server.process.send_signal(signal.SIGTERM)
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert "Second stop signal" in (tmp_path / "output.txt").read_text()
    assert_ended_once(streams)
    assert code == 0


async def test_sigterm_ends_a_rolling_restart(tmp_path: Path) -> None:
    async with two_workers(tmp_path, 600) as server:
        tasks = await begin(server, 12, "10000 0.2")
        server.process.send_signal(signal.SIGHUP)
        await logged(tmp_path, DRAINING)
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(100):
            while not await refused(server):
                await asyncio.sleep(0.1)
        assert not any(task.done() for task in tasks)
        (tmp_path / "enough").touch()
        streams = await asyncio.gather(*tasks)
        code = await server.exit_code()

    assert_ended_once(streams)
    assert code == 0


async def refused(server: Server) -> bool:
    """Whether a new caller hears that the server is busy, or finds no worker because all that are left were replaced."""
    try:
        return (await server.talk(99, "1 0")).spoken == "Busy!"
    except DeliveryError:
        return True


@pytest.mark.parametrize("options", [("--workers", "2"), ("--reload",)], ids=["workers", "reload"])
async def test_workers_whose_supervisor_was_killed_free_the_port_and_drain(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    async with running(tmp_path, *options, LAYERCODE_DRAIN_SECONDS="600") as server:
        tasks = await begin(server, 6, "15 0.2")
        workers = workers_of(server)
        server.process.kill()
        port = int(server.url.rpartition(":")[2])
        await until(lambda: is_free(port), seconds=100)
        streams = await asyncio.gather(*tasks)
        await until(lambda: not any(runs(worker) for worker in workers), seconds=100)

    assert "has died" in (tmp_path / "output.txt").read_text()
    assert_ended_once(streams)


def test_a_worker_whose_server_is_not_found_stops_as_uvicorn_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "server_of_this_process", lambda: None)
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    stopped: list[int] = []
    signals = (signal.SIGTERM, STOP, REPLACE)
    before = [signal.signal(number, signal.SIG_DFL) for number in signals]
    try:
        signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
        shutdown._Shutdown.install(LayerCode(VoiceAgent("shop"), settings=settings(tmp_path)))
        signal.raise_signal(STOP)
        signal.raise_signal(REPLACE)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
    assert stopped == [signal.SIGTERM] * 2


def is_free(port: int) -> bool:
    try:
        check_port("127.0.0.1", port)
    except ConfigurationError:
        return False
    return True
