"""Start a child process in a new process group, and end the whole group.

A signal to the child alone would not reach the programs that a shell script starts without `exec`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

STOP_SECONDS = 5.0
"""Seconds between SIGTERM and SIGKILL to a process group."""
KILL_SECONDS = 1.0
"""Seconds to wait for a process group to disappear after SIGKILL."""
POLL_SECONDS = 0.05


async def start_group(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """Start a program as the leader of a process group. Raises OSError when it cannot be started."""
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, start_new_session=True, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Let the start finish, then kill the group. Do not cancel the start: asyncio would then kill only the program
        # itself, and wait for the program's child processes.
        with suppress(OSError):
            await kill_group(await starting)
        raise


async def kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill a process group at once, and close its pipes."""
    _send(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.communicate(), KILL_SECONDS)


async def end_group(pid: int, *, seconds: float = STOP_SECONDS) -> bool:
    """End a process group: SIGTERM first, SIGKILL after `seconds`.

    Returns false if a process still runs after that. Processes that we have no permission to signal do not count.
    """
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, KILL_SECONDS)):
        if not _send(pid, number) or await _gone(pid, patience):
            return True
    return False


async def _gone(pid: int, seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while _send(pid, 0) and not _only_zombies(pid):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


def _only_zombies(group: int) -> bool:
    """Return whether all processes of a group are zombies. In a container without an init, zombies are not removed."""
    states = [words for stat in Path("/proc").glob("[0-9]*/stat") if (words := _words(stat))]
    members = [state for state, _, of, *_ in states if of == str(group)]
    return bool(states) and all(state == "Z" for state in members)


def _words(stat: Path) -> list[str]:
    """Return the fields of a `stat` file that follow the program's name: state, parent, group and others."""
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # the process has ended meanwhile
        return []


def _send(pid: int, number: int) -> bool:
    """Signal a process group. Returns false if the group has no process that we have permission to signal."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # the remaining processes run as another user, so we cannot end them
        return False
    return True
