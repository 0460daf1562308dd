"""A small file system that a test can fill and empty.

It is in a mount namespace, so only the processes that are started in this namespace see it.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest

FILLER = "filler"


@cache
def _can_mount() -> bool:
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="no mount namespace and tmpfs may be made on this machine")


def small_disks(*folders: Path, kilobytes: int) -> list[str]:
    """Return the start of a command that mounts each of these folders as a file system of this size."""
    mounts = " && ".join(f"mount -t tmpfs -o size={kilobytes}k none '{folder}'" for folder in folders)
    return ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh"]


def fill(folder: Path) -> None:
    """Leave no byte free on the file system of a folder."""
    with (folder / FILLER).open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def empty(folder: Path) -> None:
    """Make room again."""
    (folder / FILLER).unlink()


def seen_by(pid: int, folder: Path) -> Path:
    """Return a path through which this process reaches the folder that the process `pid` sees at `folder`.

    The process `pid` has its own mounts, so at `folder` itself this process may see another folder.
    """
    return Path(f"/proc/{pid}/root{folder}")
