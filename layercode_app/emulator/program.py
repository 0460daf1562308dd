"""Run a program with a timeout; kill its process group on timeout or cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ..platform.child import kill_group, start_group


@dataclass(frozen=True, slots=True)
class Finished:
    """A program's exit code and output."""

    code: int
    output: bytes
    errors: bytes


async def run_program(command: Sequence[str], *, stdin: bytes, seconds: float) -> Finished:
    """Run a program with this input. Raises OSError if it cannot be started, TimeoutError after `seconds`."""
    pipe = asyncio.subprocess.PIPE
    process = await start_group(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(seconds):
            output, errors = await process.communicate(stdin)
    except BaseException:
        await kill_group(process)
        raise
    return Finished(process.returncode or 0, output, errors)
