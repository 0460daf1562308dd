"""Count new connections, and measure the time to the first word, over a TLS link with a round trip of 40 ms.

    python -m benchmarks.connections [TURNS]

The server answers one call of 20 turns, 7 s apart. Its model is behind a proxy on this machine, which adds a round trip
of 40 ms to the TCP handshake, to the TLS handshake and to each answer. "Before" keeps idle connections for 5 s, as HTTP
clients do by default, and opens no connection when the call starts. "After" is this release, which keeps idle
connections for 300 s. To shorten the benchmark, all times except the round trip are divided by 20. Aims: "after" opens
no new connection after the first turn, and speaks the first word of later turns at least 80 ms sooner than "before".
The figures are medians of three rounds.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx2
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent.open_calls import OpenCalls
from tests.calling import Caller, calling, settings
from tests.certificates import localhost_certificate
from tests.model_server import ModelServer
from tests.serving import serve

TURNS, ROUNDS, SCALE = 20, 3, 20
THINK_SECONDS, BEFORE_SECONDS, AFTER_SECONDS = 7 / SCALE, 5 / SCALE, 300 / SCALE
ROUND_TRIP = 0.04
SOONER_MS = 80.0


class FarTLS:
    """A TLS proxy in front of a server. It adds a round trip of `ROUND_TRIP` and counts its connections."""

    def __init__(self, target: str, folder: Path) -> None:
        self._port = int(urlsplit(target).port or 0)
        self._folder = folder
        self.opened = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
        """Serve the proxy while the block runs. Yield its URL and an SSL context that trusts its certificate."""
        certificate, context = _certificate(self._folder)
        inner = await asyncio.start_server(self._plain, "127.0.0.1", 0, ssl=context)
        outer = await asyncio.start_server(self._far, "127.0.0.1", 0)
        self._inner_port = inner.sockets[0].getsockname()[1]
        async with inner, outer:
            yield (
                f"https://localhost:{outer.sockets[0].getsockname()[1]}",
                ssl.create_default_context(cafile=str(certificate)),
            )
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _far(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward the encrypted bytes, with a delay of `ROUND_TRIP` before connecting and before each answer."""
        self.opened += 1
        await self._forward(reader, writer, self._inner_port, first=ROUND_TRIP, back=ROUND_TRIP)

    async def _plain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._forward(reader, writer, self._port)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        port: int,
        first: float = 0.0,
        back: float = 0.0,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.sleep(first)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer, back))


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for localhost. Return its file and the SSL context of a server that uses it."""
    certificate, key = localhost_certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate, context


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float = 0.0) -> None:
    """Forward bytes from `reader` to `writer`, with a delay of `delay` seconds."""
    loop = asyncio.get_running_loop()
    while data := await reader.read(65_536):
        loop.call_later(delay, writer.write, data) if delay else writer.write(data)
    loop.call_later(delay, writer.close)


@dataclass
class Measured:
    """The measurements of one call. `connections` is the number of connections that were opened after the first turn.

    `first` is the time to the first word in the first turn. `later` is the median of these times in the later turns.
    Both are in milliseconds.
    """

    connections: int
    first: float
    later: float


async def measure(turns: int, *, after: bool, folder: Path) -> Measured:
    """Make one call of `turns` turns and measure it.

    If `after` is true, idle connections are kept as long as in this release, otherwise as long as in earlier releases.
    """
    async with serve(ModelServer(reply=lambda messages: "Good day.").app, timeout_keep_alive=60) as server:
        link = FarTLS(server, folder)
        async with link.listening() as (url, context):
            limits = httpx2.Limits(keepalive_expiry=BEFORE_SECONDS)
            async with httpx2.AsyncClient(limits=limits, verify=context, trust_env=False) as client:
                provider = OpenAIProvider(base_url=f"{url}/v1", api_key="test-key", http_client=client)
                voice = VoiceAgent("far", Agent(OpenAIChatModel("gpt-5-mini", provider=provider)), greeting="Hello.")
                given = settings(folder, model_keep_alive=AFTER_SECONDS if after else BEFORE_SECONDS)
                app = LayerCode(voice, settings=given)
                async with calling(app) as caller:
                    opened = await _talk(caller, turns, link)
                    turned = [one async for one in app.store.turns() if one.kind == "message"]
    first = [record.timings["ttfs"] for record in turned]
    return Measured(link.opened - opened, first[0], statistics.median(first[1:]))


async def _talk(caller: Caller, turns: int, link: FarTLS) -> int:
    """Speak the turns. Return how many connections had been opened by the end of the first turn."""
    opened = 0
    await caller.send({"type": "session.start", "turn_id": "greeting"})
    for number in range(turns):
        await asyncio.sleep(THINK_SECONDS)
        await caller.say("and then?")
        opened = opened if number else link.opened
    return opened


def main(arguments: Sequence[str]) -> int:
    turns = int(arguments[0]) if arguments else TURNS
    sides: dict[bool, list[Measured]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for after, found in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                if after:
                    found.append(asyncio.run(measure(turns, after=True, folder=Path(folder))))
                else:
                    with patch.object(OpenCalls, "note", lambda *given: None):
                        found.append(asyncio.run(measure(turns, after=False, folder=Path(folder))))
    print(f"{turns} turns 7 s apart (all times divided by {SCALE}), medians of {ROUNDS} rounds\n")
    print(f"{'':8}{'new connections after turn 1':>30}{'first word of turn 1':>24}{'of later turns':>18}")
    medians = {}
    for after, found in sides.items():
        connections, first, later = (
            statistics.median(getattr(one, name) for one in found) for name in ("connections", "first", "later")
        )
        medians[after] = (connections, later)
        print(f"{'after' if after else 'before':8}{connections:30.0f}{first:21.0f} ms{later:15.0f} ms")
    sooner = medians[False][1] - medians[True][1]
    held = medians[True][0] == 0 and sooner >= SOONER_MS
    print(
        f"\n{sooner:.0f} ms sooner in later turns; aims: no new connection, and {SOONER_MS:.0f} ms sooner: "
        f"{'held' if held else 'MISSED'}"
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
