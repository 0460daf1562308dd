"""Each worker of a SQLite journal holds a lock. The system user of the server can check it, even if root took it.

A forked child does not keep the lock of its parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from layercode_app.journal.stores.sqlite import SQLiteStore
from layercode_app.journal.stores.sqlite_files import WorkerLock, worker_alive

pytestmark = pytest.mark.anyio

FORKING = """
import os, sys, time
from pathlib import Path
from layercode_app.journal.stores.sqlite_files import WorkerLock, worker_alive
lock = WorkerLock(Path(sys.argv[1]))
owner = lock.take()
if os.fork() == 0:
    lock.release()
    # The child prints this, so that the test continues only after the child has given up its copy of the lock.
    print(owner, os.getpid(), worker_alive(Path(sys.argv[1]), owner), flush=True)
time.sleep(100)
"""


def test_a_killed_worker_is_dead_while_its_forked_children_live(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    worker = subprocess.Popen([sys.executable, "-c", FORKING, str(path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    owner, child, alive = worker.stdout.readline().split()
    try:
        assert alive == "True"
        assert worker_alive(path, owner), "the child did not delete its parent's file"
        worker.kill()
        worker.wait()
        assert not worker_alive(path, owner)
    finally:
        worker.kill()
        os.kill(int(child), signal.SIGKILL)
        worker.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create files for others")
def test_the_user_of_a_server_can_check_the_lock_of_roots_command(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    folder = path.with_name(path.name + "-workers")
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    lock = WorkerLock(path)
    owner = lock.take()
    found = (folder / owner).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o600)
    lock.release()


def test_a_lock_that_only_root_can_check_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.sqlite3"
    lock = WorkerLock(path)
    lock.take()
    old = path.with_name(path.name + "-workers") / "old"
    old.touch()
    open_ = os.open

    def refuse(name: Path, *more: int) -> int:
        if name == old:
            raise PermissionError
        return open_(name, *more)

    monkeypatch.setattr(os, "open", refuse)
    assert "old" in lock.others()
    lock.release()


async def test_workers_that_open_a_journal_through_a_link_and_directly_see_each_other(tmp_path: Path) -> None:
    journal, link = tmp_path / "data" / "journal.sqlite3", tmp_path / "link.sqlite3"
    link.symlink_to(journal)
    through, direct = SQLiteStore(link), SQLiteStore(journal)
    await through.open()
    await direct.open()
    assert await through.alive(direct.owner)
    assert await direct.alive(through.owner)
    assert through._checkpointer._log.exists(), "the log that is checkpointed is the one that SQLite writes"
    assert sorted(tmp_path.iterdir()) == [journal.parent, link]
    await through.close()
    await direct.close()


def test_a_lock_file_that_cannot_be_deleted_is_left_to_a_later_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.sqlite3"
    lock = WorkerLock(path)
    owner = lock.take()

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        lock.release()
    assert not worker_alive(path, owner)
