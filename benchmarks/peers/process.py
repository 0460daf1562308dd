"""Start a peer as a process on a separate core, wait until it answers, and stop it at the end."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ..load import SECRET, request
from .catalogue import MODEL, ROOT, Mode, Peer
from .install import BUILD, NotRunError

START_SECONDS = 60.0
END_SECONDS = 1.0


@dataclass
class Running:
    """A running peer; `started` is the number of seconds from its start to its first answer with HTTP 200."""

    peer: Peer
    port: int
    pid: int
    folder: str
    started: float

    @property
    def url(self) -> str:
        """The URL of the peer's webhook."""
        return f"http://127.0.0.1:{self.port}{self.peer.path}"


def cores() -> tuple[int | None, int | None]:
    """Return a core for the peer and another for its callers; None for both if they cannot be chosen."""
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def allow_files(wanted: int = 16_384) -> int:
    """Raise this process's limit of open files to `wanted`, or to the maximum if that is lower; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(soft, allowed)


@contextmanager
def _on(core: int | None) -> Iterator[None]:
    """Pin to this core all processes that the `with` block starts, and their threads. None pins nothing."""
    if core is None:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


@contextmanager
def running(peer: Peer, mode: Mode, model_url: str, core: int | None) -> Iterator[Running]:
    """Serve a peer in an empty folder. Raises NotRunError if it does not answer with 200."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = peer.command(mode, port)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        log = stack.enter_context((BUILD / f"{peer.key}.log").open("wb"))
        begun = time.perf_counter()
        with _on(core):
            process = subprocess.Popen(
                command, cwd=folder, env=_environment(peer, mode, port, model_url),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        stack.callback(_end, process)
        _answer(peer, port, process)
        yield Running(peer, port, process.pid, folder, time.perf_counter() - begun)


def _environment(peer: Peer, mode: Mode, port: int, model_url: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    if peer.needs is None:
        # Our server and bare ASGI run from this checkout. The other peers must find only their own packages.
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return kept | {
        "PORT": str(port), "NODE_ENV": "production", "ECHO": str(int(mode == "echo")),
        "LAYERCODE_WEBHOOK_SECRET": SECRET, "LAYERCODE_API_KEY": "test-key", "LOG_FORMAT": "json", "LOG_DIR": "",
        "MODEL": MODEL, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "test-key",
    }  # fmt: skip


def _answer(peer: Peer, port: int, process: subprocess.Popen[bytes]) -> None:
    """Send turns until the peer answers with 200."""
    deadline = time.monotonic() + START_SECONDS
    got = b"nothing"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotRunError(f"it ended with code {process.returncode} before it answered; see {peer.key}.log")
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.settimeout(5)
                connection.sendall(request(peer.path, f"start-{time.time_ns()}"))
                got = connection.recv(64)
        except OSError:
            time.sleep(0.005)
            continue
        if got.startswith(b"HTTP/1.1 200"):
            return
        time.sleep(0.05)
    raise NotRunError(f"it did not answer with 200 within {START_SECONDS:.0f} s; its last answer: {got!r}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        # Some peers do not notice that their callers have disconnected, and wait until their streams end.
        process.kill()
        process.wait()
