"""Whether a process is alive, for files that carry the id of the process that writes them."""

from __future__ import annotations

import os


def alive(pid: int) -> bool:
    """Whether a process with this id runs on the host; it may be another program that was given the same id."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
