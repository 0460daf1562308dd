"""A real PgBouncer in transaction mode in front of a PostgreSQL server, for a test."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from .ports import free_port
from .postgres_server import START_SECONDS, PostgresServer
from .support import need_program


class PgBouncer:
    """A pooler on a free port of 127.0.0.1, which gives each transaction any of its connections to the server."""

    def __init__(self, server: PostgresServer) -> None:
        # Debian installs it in /usr/sbin, which is only on root's PATH.
        program = need_program("pgbouncer", "/usr/sbin/pgbouncer")
        self._folder = tempfile.TemporaryDirectory(prefix="layercode-pgbouncer-")
        folder = Path(self._folder.name)
        self.port = free_port()
        (folder / "users.txt").write_text('"test" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
postgres = host=127.0.0.1 port={server.port} dbname=postgres user=test
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 5
"""
        )
        as_user = server.not_as_root(folder)
        self._log = folder / "log.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([program, folder / "pgbouncer.ini"], stdout=log, stderr=log, **as_user)
        self._wait()

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while b"process up" not in self._log.read_bytes():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(START_SECONDS)
        self._folder.cleanup()
