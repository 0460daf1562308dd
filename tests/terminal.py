"""Run a command in a real pseudo-terminal: press keys, and wait for what appears."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import forked
from .processes import START_SECONDS, clean_environment

PROMPT = "\x1b[?2004h"
"""What the line editor writes when it begins to read keys."""
ROWS, COLUMNS = 24, 80
WITH_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Make stdin the controlling terminal. The fork server does this itself; this code is for systems without it."""
_CURSOR = re.compile(r"\x1b\[\?(?:12|25)[hl]")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Terminal:
    """The side of a terminal that a person sees."""

    def __init__(self, *arguments: str, cwd: Path, **env: str) -> None:
        self._master, child = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._child = os.dup(child)
        self.modes = self.current_modes()
        given = clean_environment(**{"TERM": "xterm-256color", **env})
        prefix = () if forked.CAN_FORK else (sys.executable, "-c", WITH_TERMINAL)
        self.process = forked.start(
            ["-m", "layercode_app", *arguments], cwd=cwd, env=given, stdin=child, stdout=child, stderr=child,
            new_session=True, prefix=prefix,
        )  # fmt: skip
        os.close(child)
        self.screen = ""
        """Everything that was written so far."""
        self._seen = 0

    def current_modes(self) -> list[Any]:
        """Return the settings of the terminal, such as whether it echoes keys."""
        return termios.tcgetattr(self._child)

    def press(self, keys: str | bytes) -> None:
        """Type something, and read what appears meanwhile.

        A terminal takes only a few thousand bytes until the command reads them, and the command may wait until its own
        output is read.
        """
        left = keys.encode() if isinstance(keys, str) else keys
        while left:
            readable, writable, _ = select.select([self._master], [self._master], [], START_SECONDS)
            if readable:
                self._read()
            if writable:
                left = left[os.write(self._master, left[:256]) :]

    def wait_for(self, *texts: str) -> str:
        """Wait until the texts appear, one after another. Return what was written since the last wait."""
        began = self._seen
        deadline = time.monotonic() + START_SECONDS
        for text in texts:
            while (found := self.screen.find(text, self._seen)) < 0:
                assert self._readable(deadline), f"no {text!r} in {self.screen[self._seen :]!r}"
                assert self._read(), f"ended before {text!r}: {self.screen[self._seen :]!r}"
            self._seen = found + len(text)
        return self.screen[began : self._seen]

    def wait_for_prompt(self) -> str:
        """Wait until the command reads keys again."""
        return self.wait_for(PROMPT, ">")

    def wait_for_end(self) -> int:
        """Wait until the command ends, and return its exit code. What it wrote until then is in `screen`."""
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end: {self.screen[self._seen :]!r}"
            if select.select([self._master], [], [], forked.POLL_SECONDS)[0]:
                self._read()
        while select.select([self._master], [], [], 0)[0] and self._read():
            pass
        return self.process.wait()

    def close(self) -> None:
        """Close the window, as a person does."""
        for descriptor in (self._child, self._master):
            with suppress(OSError):
                os.close(descriptor)

    def _readable(self, deadline: float) -> bool:
        return bool(select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0])

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux: the other side is closed
                raise
            return False
        # The line editor shows and hides the cursor at any moment, also in the middle of other output.
        self.screen = self.screen[: self._seen] + _CURSOR.sub(
            "", self.screen[self._seen :] + data.decode(errors="replace")
        )
        return bool(data)


def plain(text: str) -> str:
    """Return the text without colours and movements of the cursor."""
    return _ESCAPES.sub("", text).replace("\r", "")


@contextmanager
def terminal(*arguments: str, cwd: Path, **env: str) -> Iterator[Terminal]:
    """Run a command in a terminal. At the end, kill the command and close the terminal."""
    opened = Terminal(*arguments, cwd=cwd, **env)
    try:
        yield opened
    finally:
        with suppress(ProcessLookupError):
            os.killpg(opened.process.pid, signal.SIGKILL)
        opened.process.wait()
        opened.close()
