"""Check whether the process that writes a file is alive, by the process id in the file's name."""

from __future__ import annotations

import os


def alive(pid: int) -> bool:
    """Return whether a process with this id runs on the host; it may be another program that reuses the id."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
