"""`run` raises its limit of open files, and warns if too few are left for its turns. Otherwise callers hear silence."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ..calling import SECRET
from ..ports import free_port
from ..processes import START_SECONDS, command, listening

pytestmark = pytest.mark.anyio

SOFT, HARD = 80, 160
LIMITED = ("bash", "-c", f'ulimit -Sn {SOFT}; ulimit -Hn {HARD}; exec "$@"', "limited")
ENV = {
    "LAYERCODE_WEBHOOK_SECRET": SECRET,
    "LAYERCODE_STORE": "sqlite:///journal.sqlite3",
    "LAYERCODE_HEADER_TIMEOUT": "100",
}


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["alone", "workers"])
async def test_run_raises_the_limit_and_warns_of_too_many_turns_and_of_too_many_open_files(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    output, port = tmp_path / "output.txt", free_port()
    arguments = ("run", "--agent", "echo", "--host", "127.0.0.1", "--port", str(port), *more)
    async with command(*arguments, cwd=tmp_path, env=ENV, prefix=LIMITED) as process:
        await listening(f"http://127.0.0.1:{port}", process)
        assert f"may open only {HARD} files, too few for LAYERCODE_MAX_TURNS=1000" in output.read_text()
        assert "set LAYERCODE_MAX_TURNS=30." in output.read_text()
        assert "opened nearly all" not in output.read_text()
        with ExitStack() as opened:
            async with asyncio.timeout(START_SECONDS):
                while f"opened nearly all of the {HARD} files" not in output.read_text():
                    opened.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
                    await asyncio.sleep(0.01)
        assert output.read_text().count("opened nearly all") <= 2, "once in each worker"


async def test_turns_that_fit_are_no_reason_for_a_warning(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("run", "--agent", "echo", "--host", "127.0.0.1", "--port", str(port))
    env = ENV | {"LAYERCODE_MAX_TURNS": "30"}
    async with command(*arguments, cwd=tmp_path, env=env, prefix=LIMITED) as process:
        await listening(f"http://127.0.0.1:{port}", process)
    assert "may open only" not in (tmp_path / "output.txt").read_text()
