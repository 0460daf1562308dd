"""Start Python commands as processes.

On Linux they are forked from a process that has already imported the package. On other systems, and if a test asks for
it, a new interpreter is started.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any

SERVER = Path(__file__).with_name("fork_server.py")
WITHOUT_ITS_FOLDER = "import runpy, sys; del sys.path[0], sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
"""Code that runs the server without tests/ on its import path. `tests/platform` would hide the module `platform`."""
CAN_FORK = sys.platform == "linux"
POLL_SECONDS = 0.01
_starting = Lock()


class Forked:
    """A child of the fork server, with some of the methods of `subprocess.Popen`."""

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        self._file = status.makefile("rb")
        self.pid = int(self._file.readline())
        self._code: int | None = None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        if self._code is None and _readable(self._status):
            self._read()
        return self._code

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""
        if self._code is None:
            self._status.settimeout(timeout)
            try:
                self._read()
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
        assert self._code is not None
        return self._code

    def _read(self) -> None:
        # If there is no line, the fork server itself was killed, and the exit codes of its children are lost.
        self._code = int(self._file.readline() or -signal.SIGKILL)
        self._file.close()
        self._status.close()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Started = Forked | subprocess.Popen[bytes]


class AsyncProcess:
    """A process with some of the methods of `asyncio.subprocess.Process`."""

    def __init__(self, process: Started) -> None:
        self._process = process
        self.pid = process.pid
        self.send_signal, self.terminate, self.kill = process.send_signal, process.terminate, process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    async def wait(self) -> int:
        """Wait for the end."""
        while (code := self._process.poll()) is None:
            await asyncio.sleep(POLL_SECONDS)
        return code


def start(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    new_session: bool = False,
    cold: bool = False,
    prefix: Sequence[str] = (),
) -> Started:
    """Start `python ARGUMENTS…`.

    With `cold`, start a new interpreter instead of a fork, for tests that examine the start itself. `prefix` is a
    command that executes the interpreter, such as `unshare`. With a prefix, a new interpreter is always started.
    """
    if cold or prefix or not CAN_FORK:
        return subprocess.Popen(
            [*prefix, sys.executable, *arguments], cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr,
            start_new_session=new_session,
        )  # fmt: skip
    mine, theirs = socket.socketpair()
    null = os.open(os.devnull, os.O_RDWR)
    streams = [_descriptor(stream, null) for stream in (stdin, stdout, stderr)]
    request = {
        "arguments": [str(argument) for argument in arguments],
        "cwd": str(cwd),
        "env": dict(env),
        "new_session": new_session,
    }
    with theirs:
        socket.send_fds(_fork_server(), [json.dumps(request).encode()], [*streams, theirs.fileno()])
    os.close(null)
    return Forked(mine)


def run(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float = 100,
    typed: str = "",
    cold: bool = False,
    together: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS…` to its end, as `subprocess.run` does. `together` redirects stderr to stdout."""
    with TemporaryFile() as keyboard, TemporaryFile() as output, TemporaryFile() as errors:
        keyboard.write(typed.encode())
        keyboard.seek(0)
        streams: dict[str, Any] = {"stdin": keyboard, "stdout": output, "stderr": output if together else errors}
        process = start(arguments, cwd=cwd, env=env, cold=cold, **streams)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(list(arguments), code, _text(output), _text(errors))


def _fork_server() -> socket.socket:
    with _starting:
        return _started_server()


@cache
def _started_server() -> socket.socket:
    measured = "measured" if "COVERAGE_PROCESS_START" in os.environ else "not measured"
    # Use a packet socket, so that the requests of two threads do not merge into one.
    mine, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_ITS_FOLDER, SERVER, str(theirs.fileno()), measured],
        pass_fds=[theirs.fileno()],
        env={k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE_", "LAYERCODE_", "OTEL_"))},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    assert mine.recv(5) == b"ready", "the fork server did not start"
    atexit.register(_stop, mine, process)
    return mine


def _stop(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    process.wait(10)


def _descriptor(stream: int | IO[bytes], null: int) -> int:
    if isinstance(stream, int):
        return null if stream == subprocess.DEVNULL else stream
    return stream.fileno()


def _readable(status: socket.socket) -> bool:
    # Use `poll`, because `select.select` refuses file descriptors above 1,023.
    poll = select.poll()
    poll.register(status, select.POLLIN)
    return bool(poll.poll(0))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
