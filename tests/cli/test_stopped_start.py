"""SIGTERM while `run` still starts: the process ends, also as process 1 of a container, and its exit code is 0."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from ..calling import SECRET
from ..processes import START_SECONDS, command
from ..waiting import until

pytestmark = pytest.mark.anyio

AGENT = """
import time
from pathlib import Path

Path("loading").touch()
time.sleep(600)
"""


async def test_sigterm_while_an_agent_file_is_imported_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "slow.py").write_text(AGENT)
    async with command("run", "--agent", "starter", cwd=tmp_path, env={"LAYERCODE_WEBHOOK_SECRET": SECRET}) as process:
        await until((tmp_path / "loading").exists, seconds=100)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), START_SECONDS) == 0
    assert "Ended by SIGTERM." in (tmp_path / "output.txt").read_text()
