"""Run uvicorn in this process or in worker processes, and report the port as soon as uvicorn listens."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

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


class Workers(Multiprocess):
    """Uvicorn's supervisor of worker processes, which notices at once if a worker ends."""

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended or do not answer."""
        for process in self.processes:
            # As long as this process has the worker's end of the pipe too, the pipe is not closed when a worker ends.
            # A worker that ends before it answers, such as after Ctrl-C, would be waited for until the timeout.
            process.child_conn.close()
        super().keep_subprocess_alive()


def run_server(config: uvicorn.Config, told: Told) -> None:
    """Serve in this process until stopped. Exits with STARTUP_FAILURE if the server does not start."""
    server = ListeningServer(config, told)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)


def supervise(config: uvicorn.Config, told: Told) -> None:
    """Serve in worker processes until stopped. Restart workers that die, or reload them when files change."""
    listener = config.bind_socket()
    # The first connections wait for the workers, which import the agents first.
    accept_connections(listener, config.backlog)
    told(listener.getsockname()[1])
    with suppress(KeyboardInterrupt):
        if config.reload:
            ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listener]).run()
        else:
            Workers(config, sockets=[listener]).run()
