"""A server that points a webhook at itself holds a lock.

The lock is released when the server ends, even if children that it forked still run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from layercode_app.platform.claim import _lock

FORKING = """
import os, sys, time
from pathlib import Path
from layercode_app.platform.claim import _lock
lock = _lock(Path(sys.argv[1]))
locked = lock.__enter__()
if os.fork() == 0:
    # The child prints this, so that the test continues only after the child has given up its copy of the lock.
    print(locked, os.getpid(), flush=True)
time.sleep(100)
"""


def test_the_lock_of_a_killed_server_is_free_while_its_forked_children_live(tmp_path: Path) -> None:
    file = tmp_path / "webhook.json"
    server = subprocess.Popen([sys.executable, "-c", FORKING, str(file)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    locked, child = server.stdout.readline().split()
    try:
        assert locked == "True"
        with _lock(file) as free:
            assert not free
        server.kill()
        server.wait()
        with _lock(file) as free:
            assert free
    finally:
        server.kill()
        os.kill(int(child), signal.SIGKILL)
        server.stdout.close()


def test_a_lock_that_was_released_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[object] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **functions: registered.append(functions))
    for _ in range(3):
        with _lock(tmp_path / "webhook.json") as free:
            assert free
    assert registered == []
