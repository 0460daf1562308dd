"""Check whether a process is alive, by its process id."""

from __future__ import annotations

import os


def alive(pid: int) -> bool:
    """Return whether a process with this id runs on this host. It may be a different program that reuses the id."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
