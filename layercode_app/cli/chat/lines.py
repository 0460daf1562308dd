"""Read the lines of `chat` from a line editor on a terminal, otherwise from a pipe or a file."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from ...output.terminal import answers, print_line

CHUNK = 65_536


class Lines(Protocol):
    """A source of the lines that the caller says."""

    hint: str
    """A sentence about the keys that the caller can press."""

    async def next(self) -> str | None:
        """Return the next line, of any length; None at the end."""
        ...


@asynccontextmanager
async def open_lines() -> AsyncIterator[Lines]:
    """Yield the line editor if stdin and stdout are a terminal, else the lines of stdin."""
    if not answers():
        yield PipedLines()
        return
    from .line_editor import open_editor

    with open_editor() as editor:
        yield editor


class PipedLines:
    """The lines of stdin. Bytes that are invalid in its encoding are replaced, and stderr gets a note about them."""

    hint = "Ctrl-C interrupts."

    def __init__(self) -> None:
        self._read_bytes = bytearray()
        self._searched = 0
        self._number = 0

    async def next(self) -> str | None:
        """Return the next line, of any length; None at the end."""
        line = await _in_daemon(self._read_line)
        self._number += 1
        return self._decoded(line) if line else None

    def _read_line(self) -> bytes:
        """Read up to the next line end.

        Read from the file descriptor. A read from `sys.stdin` would hold its lock, and so block the exit.
        """
        while (end := self._read_bytes.find(b"\n", self._searched)) < 0:
            self._searched = len(self._read_bytes)
            chunk = os.read(sys.stdin.fileno(), CHUNK) if sys.stdin else b""
            if not chunk:
                end = len(self._read_bytes) - 1
                break
            self._read_bytes += chunk
        line = bytes(self._read_bytes[: end + 1])
        del self._read_bytes[: end + 1]
        self._searched = 0
        return line

    def _decoded(self, line: bytes) -> str:
        encoding = sys.stdin.encoding
        try:
            return line.decode(encoding)
        except UnicodeDecodeError as error:
            tell_of_replaced(f"Line {self._number}", line[error.start], error.start + 1, encoding)
            return line.decode(encoding, "replace")


async def _in_daemon(read: Callable[[], bytes]) -> bytes:
    """Call a function in a daemon thread, so that Ctrl-C and the exit do not wait for it."""
    loop = asyncio.get_running_loop()
    found: concurrent.futures.Future[bytes] = concurrent.futures.Future()

    def run() -> None:
        try:
            found.set_result(read())
        except (OSError, ValueError) as error:
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(found, loop=loop)


def tell_of_replaced(line: str, byte: int, position: int, encoding: str) -> None:
    """Print which byte of a line could not be decoded, and what to do."""
    name = encoding.upper()
    print_line(
        f"{line} is not valid {name}: byte 0x{byte:02X} at position {position}. Invalid bytes are replaced by "
        f"\N{REPLACEMENT CHARACTER}. Convert the input to {name}, for example with iconv.",
        err=True,
    )
