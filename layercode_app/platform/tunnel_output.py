"""Read the output of the tunnel's program line by line, and write it to a log file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from loguru import logger

from ..settings import make_folder

LOG_NAME = "tunnel.log"
MAX_LINE = 65_536


class OutputLog:
    """The log file of the program's output. If writing fails, logging stops with a warning and the tunnel continues."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None

    def __enter__(self) -> OutputLog:
        if self._folder:
            with self._reported():
                make_folder(Path(self._folder))
                self._file = (Path(self._folder) / LOG_NAME).open("ab", buffering=0)
        return self

    def write(self, data: bytes) -> None:
        """Append to the file, unless it could not be opened or an earlier write failed."""
        if self._file is not None:
            with self._reported():
                self._file.write(data)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            logger.warning("The tunnel's output cannot be logged to {}/{}: {}.", self._folder, LOG_NAME, error.strerror)
            if self._file is not None:
                self._file.close()
                self._file = None


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield each line as it arrives. A line that exceeds MAX_LINE bytes is yielded in pieces."""
    rest = b""
    while chunk := await stream.read(8192):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > MAX_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest
