"""A real `redis-server` for a test: on a free port of 127.0.0.1, in a folder of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from .ports import free_port
from .support import need_program

START_SECONDS = 60


class RedisServer:
    """One server, which can be killed, and started again with the data that it had written.

    It runs as a cluster of one node, so that a script that touches keys of two slots is refused.
    """

    def __init__(self, folder: Path, *, cluster: bool = True) -> None:
        self._program = need_program("redis-server")
        self._folder = folder
        self._cluster = cluster
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # `appendfsync always`: each write is on the disk before it is answered, so `kill` loses no answered write. With
        # `everysec`, a busy disk may hold writes back.
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly yes --appendfsync always --save ''".split()
        if self._cluster:
            options += f"--cluster-enabled yes --cluster-port {free_port()}".split()
        self._process = subprocess.Popen(
            [self._program, *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while self.say("PING") != b"+PONG":
            assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)
        if self._cluster:
            self.say("CLUSTER ADDSLOTSRANGE 0 16383")
            while b"cluster_state:ok" not in self.say("CLUSTER INFO"):
                assert time.monotonic() < deadline, "redis-server's slots are not served"
                time.sleep(0.01)

    def clear(self) -> None:
        assert self.say("FLUSHALL") == b"+OK"

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(START_SECONDS)

    def pause(self) -> None:
        """Let the server hang: connections stay open, and nothing is answered."""
        assert self._process is not None
        subprocess.run(["kill", "-STOP", str(self._process.pid)], check=True)

    def resume(self) -> None:
        assert self._process is not None
        subprocess.run(["kill", "-CONT", str(self._process.pid)], check=True)

    def say(self, command: str) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(command.encode() + b"\r\n")
                return connection.recv(65536).strip()
        except OSError:
            return b""
