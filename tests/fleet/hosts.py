"""Three hosts, each with two workers, behind a proxy that sends each connection to the next host."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import psutil

from ..forked import AsyncProcess
from ..forwarding import forward
from ..ports import free_port
from ..processes import command, listening

SECRET = "test-secret"
HOSTS, WORKERS = 3, 2


@dataclass
class Host:
    """One host: the command `run` with two workers."""

    port: int
    process: AsyncProcess

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def kill_a_worker(self, chance: random.Random) -> bool:
        """Kill one of the workers with kill -9. If a worker is missing already, kill none and return False."""
        workers = self.workers()
        if len(workers) < WORKERS:
            return False
        with suppress(psutil.NoSuchProcess):
            chance.choice(workers).kill()
        return True

    def replace_workers(self) -> None:
        """Let the host replace its workers, as a rolling restart does."""
        self.process.send_signal(signal.SIGHUP)


@dataclass
class Fleet:
    """The hosts, and the address of the proxy."""

    hosts: list[Host]
    ledger: Path
    url: str = ""
    connections: list[int] = field(default_factory=lambda: [0] * HOSTS)
    """How many connections each host was given."""

    def booked(self) -> list[str]:
        """Return one text for each run of the tool, at any host.

        A text holds the conversation's id and the turn's id, with a space between them.
        """
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []


@asynccontextmanager
async def fleet(store: str, folder: Path) -> AsyncIterator[Fleet]:
    """Start the hosts and the proxy; at the end all are killed."""
    agents = folder / "agents"
    agents.mkdir()
    shutil.copy(Path(__file__).with_name("desk.py"), agents)
    env = {
        "LAYERCODE_STORE": store,
        "LAYERCODE_WEBHOOK_SECRET": SECRET,
        "LAYERCODE_FILLER": "off",
        "LEDGER": str(folder / "ledger"),
        "LOG_LEVEL": "WARNING",
    }
    async with AsyncExitStack() as stack:
        hosts = []
        for number in range(HOSTS):
            port = free_port()
            arguments = ("run", "--agent", "desk", "--host", "127.0.0.1", "--port", str(port))
            process = await stack.enter_async_context(
                command(*arguments, "--workers", str(WORKERS), cwd=folder, env=env, output=folder / f"host-{number}")
            )
            hosts.append(Host(port, process))
        for host in hosts:
            await listening(f"http://127.0.0.1:{host.port}", host.process)
        made = Fleet(hosts, folder / "ledger")
        made.url = await stack.enter_async_context(_proxy(made))
        yield made


@asynccontextmanager
async def _proxy(fleet: Fleet) -> AsyncIterator[str]:
    turns = cycle(range(HOSTS))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(turns)
        fleet.connections[number] += 1
        try:
            far = await asyncio.open_connection("127.0.0.1", fleet.hosts[number].port)
        except OSError:
            writer.close()
            return
        await forward(reader, writer, *far)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
