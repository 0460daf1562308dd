"""A tunnel from the internet to this machine: cloudflared, or a command of the user's, as a child process."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from ..exceptions import ConfigurationError, LayerCodeError
from ..settings import make_folder

if TYPE_CHECKING:
    from ..settings import Settings

LOG_NAME = "tunnel.log"
KEPT_LINES = 5
MAX_LINE = 65_536
STOP_SECONDS = 5.0
NOT_A_TUNNEL = ("https://api.trycloudflare.com",)
"""What cloudflared names in its errors, and what looks like a tunnel."""


class TunnelError(LayerCodeError):
    """The tunnel gave no URL, or ended."""


class Tunnel:
    """Runs the tunnel's command while it is entered. What it prints goes to a log file, and its URL is found in that.

    It ends by itself only when something is wrong: `until_it_dies` raises then, and so does `url`.
    """

    def __init__(self, command: str, target: str, *, pattern: str, log_dir: str) -> None:
        self._command = [part.replace("{url}", target) for part in shlex.split(command)]
        self._pattern = re.compile(pattern)
        self._log_dir = log_dir
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._url: asyncio.Future[str]
        self._died: asyncio.Future[None]
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False

    @classmethod
    def from_settings(cls, settings: Settings, target: str) -> Tunnel:
        """The tunnel of these settings, to a local URL."""
        command, pattern = settings.tunnel_command, settings.tunnel_pattern
        return cls(command, target, pattern=pattern, log_dir=settings.log_dir)

    async def __aenter__(self) -> Tunnel:
        check_program(self._command[0])
        loop = asyncio.get_running_loop()
        self._url, self._died = loop.create_future(), loop.create_future()
        # A session of its own: Ctrl-C is for us, who give the webhook back before the tunnel closes.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._process), name="tunnel-output")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._reader is not None
        self._stopping = True
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
        await self._reader
        if not self._url.done():
            self._url.cancel()

    async def url(self, seconds: float) -> str:
        """The public URL, once it is printed. Raises TunnelError when the child ends first, or takes too long."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._url), seconds)
        except TimeoutError:
            raise TunnelError(f"The tunnel printed no URL within {seconds:g} s. {self._said()}") from None

    async def until_it_dies(self) -> None:
        """Wait for the child to end without being told to, and raise TunnelError then."""
        await asyncio.shield(self._died)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        log = self._open_log()
        try:
            async for line in _lines(process.stdout):
                if log is not None:
                    log.write(line + b"\n")
                self._look_at(line.decode("utf-8", "replace").strip())
        finally:
            if log is not None:
                log.close()
        code = await process.wait()
        if self._stopping:
            return
        error = TunnelError(f"The tunnel's program ended with exit code {code}. {self._said()}")
        if not self._died.done():
            self._died.set_exception(error)
        if not self._url.done():
            self._url.set_exception(error)
        for told in (self._died, self._url):
            told.exception()  # whoever waits is told; nobody may be waiting

    def _look_at(self, line: str) -> None:
        if line:
            self._last.append(line)
        for match in self._pattern.finditer(line):
            if not self._url.done() and match.group() not in NOT_A_TUNNEL:
                self._url.set_result(match.group().rstrip("/"))

    def _open_log(self) -> BinaryIO | None:
        if not self._log_dir:
            return None
        folder = Path(self._log_dir)
        make_folder(folder)
        return (folder / LOG_NAME).open("ab", buffering=0)

    def _said(self) -> str:
        where = f" More is in {Path(self._log_dir) / LOG_NAME}." if self._log_dir else ""
        last = " | ".join(self._last) or "nothing"
        return f"Its last words: {last[:500]}.{where}"


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines as they come; one that never ends comes in pieces."""
    rest = b""
    while chunk := await stream.read(8192):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > MAX_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest


def check_program(name: str) -> str:
    """The path of the tunnel's program. Raises ConfigurationError with where to get it."""
    found = shutil.which(name)
    if found is None:
        raise ConfigurationError(
            f"The tunnel's program {name!r} is not installed. Install cloudflared "
            "(https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/downloads/), "
            "or name another in LAYERCODE_TUNNEL_COMMAND."
        )
    return found
