"""Run a program to its end, within a bound; nothing of it is left when that is over or cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ..platform.child import kill_group, start_group


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended, and what it wrote."""

    code: int
    output: bytes
    errors: bytes


async def run_program(command: Sequence[str], *, stdin: bytes, seconds: float) -> Finished:
    """Run a program with this input. Raises OSError when it cannot be started, TimeoutError when it takes too long."""
    pipe = asyncio.subprocess.PIPE
    process = await start_group(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(seconds):
            output, errors = await process.communicate(stdin)
    except BaseException:
        await kill_group(process)
        raise
    return Finished(process.returncode or 0, output, errors)
