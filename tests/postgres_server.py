"""A real PostgreSQL for a test: on a free port of 127.0.0.1, in a folder of its own, as a user that is not root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from .ports import free_port
from .support import need_program

START_SECONDS = 100
DEBIAN = Path("/usr/lib/postgresql")


class PostgresServer:
    """One server with the database `postgres`, whose user `test` needs no password."""

    def __init__(self, *, durable: bool = False) -> None:
        """`durable` is for measurements: a commit waits for the disk, as in production."""
        self._durable = durable
        # Debian installs these programs in a folder that is not in PATH.
        self._postgres = need_program("postgres", *map(str, sorted(DEBIAN.glob("*/bin/postgres"))))
        self._folder = Path(tempfile.mkdtemp(prefix="layercode-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server. The first start creates the database, and later starts use it again."""
        data = self._folder / "data"
        if not data.exists():
            self._make(data)
        self._run(data)

    def follow(self, primary: PostgresServer) -> None:
        """Start as a replica of another server, which streams its changes to this one."""
        data = self._folder / "data"
        program = Path(self._postgres).resolve().with_name("pg_basebackup")
        copied = [str(program), "-D", str(data), "-R", "-d", primary.url, "--checkpoint=fast", "--no-sync"]
        subprocess.run(copied, check=True, capture_output=True, cwd=self._folder, **self.not_as_root(self._folder))
        self._run(data)

    def clear(self) -> None:
        """Delete the journal."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS layercode CASCADE")

    def kill(self) -> None:
        """Kill the server and its sessions; what was committed stays."""
        processes = self._processes()
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, START_SECONDS)
        assert self._process is not None
        self._process.wait()

    def pause(self) -> None:
        """Let the server hang: connections stay open, and nothing is answered."""
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        return [server, *server.children(recursive=True)]

    def _make(self, data: Path) -> None:
        as_user = self.not_as_root(self._folder)
        initdb = Path(self._postgres).resolve().with_name("initdb")
        made = [str(initdb), "-D", str(data), "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, cwd=self._folder, **as_user)

    def _run(self, data: Path) -> None:
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        options |= {} if self._durable else {"fsync": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                [self._postgres, "-D", data, *settings],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self.not_as_root(self._folder),
            )
        self._wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        log = self._folder / "log.txt"
        while not re.search(rb"ready to accept (read-only )?connections", log.read_bytes()):
            assert self._process is not None
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    @staticmethod
    def not_as_root(folder: Path) -> dict[str, Any]:
        """Give the folder to a user that is not root, and return the options that start a program as that user.

        PostgreSQL and PgBouncer refuse to run as root, but in a container the tests run as root. If this process is not
        root, the folder keeps its owner, and there are no options.
        """
        if os.geteuid() != 0:
            return {}
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        user = known.get("postgres") or known["nobody"]
        os.chown(folder, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
