"""Run uvicorn in this process or in worker processes, and report the port as soon as uvicorn listens."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import uvicorn

from .._compat.uvicorn_workers import ClosingWorkers, ReloadedWorker
from .port import accept_connections

STARTUP_FAILURE = 3
"""The exit code of a server whose start failed, the same as that of `uvicorn.run`."""
Told = Callable[[int], None]


class ListeningServer(uvicorn.Server):
    """A uvicorn server that calls `told` with the port as soon as the server listens."""

    def __init__(self, config: uvicorn.Config, told: Told) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, then report the port."""
        await super().startup(sockets)
        if self.started:
            self._told(self.servers[0].sockets[0].getsockname()[1])


def run_server(config: uvicorn.Config, told: Told) -> None:
    """Serve in this process until stopped. Exits with STARTUP_FAILURE if the server does not start."""
    server = ListeningServer(config, told)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)


def supervise(config: uvicorn.Config, told: Told, *, files: Iterable[Path] = ()) -> None:
    """Serve in worker processes until stopped.

    If `config.reload` is true, one worker process serves, and is restarted when files in the watched folders, or
    `files`, change. If `config.reload` is false, `config.workers` worker processes serve, and each worker process that
    dies is replaced.
    """
    listener = config.bind_socket()
    # The first connections wait for the workers, which import the agents first.
    accept_connections(listener, config.backlog)
    told(listener.getsockname()[1])
    with suppress(KeyboardInterrupt):
        if config.reload:
            ReloadedWorker(config, files=files, target=uvicorn.Server(config).run, sockets=[listener]).run()
        else:
            ClosingWorkers(config, sockets=[listener]).run()
