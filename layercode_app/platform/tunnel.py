"""A tunnel from the internet to this machine: a child process that runs cloudflared or the user's own command."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from loguru import logger

from ..exceptions import ConfigurationError, LayerCodeError
from .child import end_group, start_group
from .tunnel_output import LOG_NAME, OutputLog, lines

if TYPE_CHECKING:
    from ..settings import Settings

KEPT_LINES = 5
OUTPUT_SECONDS = 1.0
"""Maximum seconds to read the remaining output after the program has ended."""
NOT_A_TUNNEL = ("https://api.trycloudflare.com",)
"""URLs in cloudflared's errors that look like a tunnel's URL, but are not."""


class TunnelError(LayerCodeError):
    """The tunnel could not start, printed no URL, or ended."""


class Tunnel:
    """A context manager that runs the tunnel's command, logs its output, and finds the public URL in the output.

    If the command ends by itself, `until_it_dies` raises TunnelError. `url` raises it too if no URL was found yet.
    """

    def __init__(self, command: str, target: str, *, pattern: str, log_dir: str) -> None:
        self._command = [part.replace("{url}", target) for part in words_of(command)]
        self._pattern = re.compile(pattern)
        self._log_dir = log_dir
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._url: asyncio.Future[str]
        self._died: asyncio.Future[None]
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: asyncio.ReadTransport | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False

    @classmethod
    def from_settings(cls, settings: Settings, target: str) -> Tunnel:
        """Return a tunnel to the local URL `target`, configured by the settings."""
        command, pattern = settings.tunnel_command, settings.tunnel_pattern
        return cls(command, target, pattern=pattern, log_dir=settings.log_dir)

    async def __aenter__(self) -> Tunnel:
        check_program(self._command[0])
        loop = asyncio.get_running_loop()
        self._url, self._died = loop.create_future(), loop.create_future()
        output, self._pipe, self._process = await self._start()
        self._reader = asyncio.create_task(self._read(output, self._process), name="tunnel-output")
        return self

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.ReadTransport, asyncio.subprocess.Process]:
        """Start the program with our own pipe for its output.

        We can close this pipe even if a process that the program started still holds the other end.
        """
        ours, theirs = os.pipe()
        reader = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb")
        )
        try:
            # The program runs in its own session, so Ctrl-C reaches only us: we restore the webhook, then end the program.
            process = await start_group(*self._command, stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=theirs)
        except OSError as error:
            pipe.close()
            raise TunnelError(f"The tunnel's program {self._command[0]!r} cannot be run: {error.strerror}.") from error
        finally:
            os.close(theirs)
        return reader, pipe, process

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._reader is not None
        assert self._pipe is not None
        self._stopping = True
        ended = await end_group(self._process.pid)
        _, reading = await asyncio.wait({self._reader}, timeout=OUTPUT_SECONDS)
        if reading or not ended:
            logger.warning("The tunnel's program {} left a process running that we cannot end.", self._command[0])
        self._reader.cancel()
        self._pipe.close()
        if not self._url.done():
            self._url.cancel()

    async def url(self, seconds: float) -> str:
        """Wait for the public URL. Raises TunnelError if the program ends first, or prints no URL within `seconds`."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._url), seconds)
        except TimeoutError:
            raise TunnelError(f"The tunnel printed no URL within {seconds:g} s. {self._said()}") from None

    async def until_it_dies(self) -> None:
        """Wait until the program ends by itself, then raise TunnelError."""
        await asyncio.shield(self._died)

    async def _read(self, output: asyncio.StreamReader, process: asyncio.subprocess.Process) -> None:
        with OutputLog(self._log_dir) as log:
            async for line in lines(output):
                log.write(line + b"\n")
                self._look_at(line.decode("utf-8", "replace").strip())
        code = await process.wait()
        if self._stopping:
            return
        error = TunnelError(f"The tunnel's program ended with exit code {code}. {self._said()}")
        if not self._died.done():
            self._died.set_exception(error)
        if not self._url.done():
            self._url.set_exception(error)
        for told in (self._died, self._url):
            told.exception()  # marks the exception as retrieved, because no task may be waiting for it

    def _look_at(self, line: str) -> None:
        if line:
            self._last.append(line)
        for match in self._pattern.finditer(line):
            if not self._url.done() and match.group() not in NOT_A_TUNNEL:
                self._url.set_result(match.group().rstrip("/"))

    def _said(self) -> str:
        where = f" More is in {Path(self._log_dir) / LOG_NAME}." if self._log_dir else ""
        last = " | ".join(self._last) or "nothing"
        return f"Its last output: {last[:500]}.{where}"


def words_of(command: str) -> list[str]:
    """Split a command into program and arguments. Raises ConfigurationError if it is blank or a quote is open."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigurationError(
            f"LAYERCODE_TUNNEL_COMMAND is {command!r}: {error}. Close its quotes, as in a shell."
        ) from error
    if not words:
        raise ConfigurationError("LAYERCODE_TUNNEL_COMMAND is blank; expected a program and its arguments.")
    return words


def check_program(name: str) -> str:
    """Return the path of the tunnel's program. Raises ConfigurationError, with a download link, if it is missing."""
    found = shutil.which(name)
    if found is None:
        raise ConfigurationError(
            f"The tunnel's program {name!r} is not installed. Install cloudflared "
            "(https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/downloads/), "
            "or set LAYERCODE_TUNNEL_COMMAND to another program."
        )
    return found
