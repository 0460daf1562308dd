"""A tunnel's program is ended with all its child processes, also those that ignore signals or detach."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from layercode_app.exceptions import ConfigurationError
from layercode_app.platform import child, tunnel
from layercode_app.platform.tunnel import Tunnel, TunnelError, words_of
from layercode_app.server import tunnelling
from layercode_app.server.tunnelling import TunnelBeside

from ..calling import settings
from ..processes import runs
from ..support import need_program

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9"
SECONDS = 100


def script(folder: Path, text: str) -> str:
    """Write a shell script, and return its path, which is the tunnel's command."""
    path = folder / "tunnel.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def closed(folder: Path, text: str) -> int:
    """Open a tunnel with a script that prints the pid of its child and then the URL, close it, and return that pid."""
    async with asyncio.timeout(SECONDS):
        async with Tunnel(script(folder, text), "", pattern="http://[0-9.:]+", log_dir=str(folder)) as opened:
            assert await opened.url(SECONDS) == URL
    return int((folder / "tunnel.log").read_text().split()[0])


async def test_a_script_that_starts_its_program_without_exec_ends_with_it(tmp_path: Path, warned: list[str]) -> None:
    pid = await closed(tmp_path, f"sleep 300 & echo $!; echo {URL}; wait")
    assert not runs(pid)
    assert not warned


async def test_a_script_that_has_ended_before_its_program_leaves_nothing(tmp_path: Path, warned: list[str]) -> None:
    pid = await closed(tmp_path, f"sleep 300 & echo $!; echo {URL}")
    assert not runs(pid)
    assert not warned


async def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.end_group, "__kwdefaults__", {"seconds": 0.1})
    pid = await closed(tmp_path, f"trap '' TERM; sleep 300 & echo $!; echo {URL}; wait; sleep 300")
    assert not runs(pid)


async def test_a_program_that_hides_in_a_session_of_its_own_holds_nothing_up(
    tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "OUTPUT_SECONDS", 0.1)
    setsid = need_program("setsid")
    pid = await closed(tmp_path, f"{setsid} sleep 300 & echo $!; sleep 0.2; echo {URL}; wait")
    try:
        assert "left a process running that we cannot end" in warned[0]
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_program_that_cannot_be_run_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "tunnel.sh"
    path.write_bytes(b"\x00\x01 no program")
    path.chmod(0o755)
    with pytest.raises(TunnelError, match=r"tunnel\.sh' cannot be run: Exec format error"):
        async with Tunnel(str(path), "", pattern="x", log_dir=""):
            raise AssertionError("it was started")


@pytest.mark.parametrize(("command", "reason"), [("cloudflared 'tunnel", "No closing quotation"), (" ", "is blank")])
def test_a_command_that_is_none_is_told(command: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"LAYERCODE_TUNNEL_COMMAND is .*{reason}|{reason}"):
        words_of(command)


async def test_a_log_folder_that_cannot_be_written_costs_only_the_log(tmp_path: Path, warned: list[str]) -> None:
    (tmp_path / "file").write_text("")
    command = script(tmp_path, f"echo {URL}; sleep 300")
    async with asyncio.timeout(SECONDS):
        async with Tunnel(command, "", pattern="http://[0-9.:]+", log_dir=str(tmp_path / "file")) as opened:
            assert await opened.url(SECONDS) == URL
    assert "output cannot be logged" in warned[0]


def test_a_tunnel_that_does_not_end_does_not_keep_the_server(
    tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    class Hanging(Tunnel):
        async def __aenter__(self) -> Tunnel:
            entered.set()
            release.wait(SECONDS)  # holds up the whole loop of the tunnel's thread
            raise TunnelError("it never opened")

    monkeypatch.setattr(tunnelling, "Tunnel", Hanging)
    monkeypatch.setattr(tunnelling, "JOIN_SECONDS", 0.1)
    with TunnelBeside(settings(tmp_path), secret="test-secret", update_webhook=False) as beside:
        assert entered.wait(SECONDS)
    try:
        assert "did not end within 0.1 s" in warned[0]
        assert beside._thread.daemon
    finally:
        release.set()
        beside._thread.join(SECONDS)
