"""Attack `run` with hostile clients: measure the answers, the wait of a normal caller, and the server's memory.

    timeout 1800 python -m benchmarks.hostile [malformed|bytes|idle|slow ...]

- malformed: 100,000 signed webhooks with a few of their bytes changed, fields of wrong types, or no JSON at all;
- bytes: 20,000 connections with random bytes, or with almost valid HTTP, at every route;
- idle: 1,000 connections that send nothing, and 1,000 that stay open after an answer;
- slow: 200 clients that send a header or a body byte by byte, and 200 that read one byte a second of an endless answer.

No answer may be a 5xx, and no log line an error. The time that a well-behaved caller waits meanwhile is printed too.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from layercode_app.percentiles import percentile
from layercode_app.testing.bench.connection import Line
from layercode_app.testing.check.probe import Talk
from layercode_app.webhook import HEADER, sign

from .load import SECRET
from .running import PARTS, Running, running

MALFORMED, BYTES, IDLE, SLOW, AT_ONCE = 100_000, 20_000, 1_000, 200, 32
GROWN_MB = {"slow": SLOW * 1.0}
"""Megabytes by which the memory may grow. For each slow listener, the server buffers a part of the reply."""
LONGEST_SECONDS = 600
"""An attack that takes longer is ended with an error: the server hangs, or keeps connections that it must close."""
ROUTES = (
    "/api/agent",
    "/api/agents/talker",
    "/api/agents/",
    "/api/authorize",
    "/health",
    "/ready",
    "/metrics",
    "/",
    "/%ff",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW", "CONNECT")
GOOD = {"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "hello"}
WRONG: tuple[Any, ...] = (None, 1, -0.5, True, "", "\ud800", [], {}, [[[]]], {"a": None}, "x" * 10_000, 1e400, 2**80)
TALKER = """
import asyncio
from layercode_app import VoiceAgent

agent = VoiceAgent("talker")


@agent.on_message
async def talk(turn):
    if turn.text != "endless":
        yield "hello"
        return
    while True:
        yield "word " * 2_000
        await asyncio.sleep(0)
"""


def malformed(chance: random.Random) -> bytes:
    """Return a body to be signed. Nearly all of these bodies are malformed."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.randint(0, 2_000))
    if kind < 0.15:
        return b"[" * chance.randint(1, 100_000)
    if kind < 0.5:
        field = chance.choice([*GOOD, "metadata", "data", "interruption_context", "transcript"])
        return json.dumps(GOOD | {field: chance.choice(WRONG)}).encode()
    body = bytearray(json.dumps(GOOD).encode())
    for _ in range(chance.randint(1, 4)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


def raw(chance: random.Random) -> bytes:
    """Return random bytes, or almost valid HTTP."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.randint(1, 4_000))
    body = chance.randbytes(chance.randint(0, 200))
    head = f"{chance.choice(METHODS)} {chance.choice(ROUTES)} HTTP/1.1\r\nhost: x\r\n"
    framing = chance.choice(
        (f"content-length: {len(body)}", "transfer-encoding: chunked", "content-length: 99999999999")
    )
    whole = bytearray(head.encode() + framing.encode() + b"\r\nlayercode-signature: t=1,v1=0\r\n\r\n" + body)
    for _ in range(chance.choice((0, 1, 3, 8))):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    return bytes(whole[: chance.randint(1, len(whole))]) * chance.choice((1, 1, 3))


class Others:
    """A well-behaved caller that sends turns during an attack. It records its waiting times and its failed turns."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self.waited: list[float] = []
        self.failed: Counter[str] = Counter()

    async def call(self) -> None:
        address = self._server.at("/api/agent")
        line, talk = Line(address, timeout=60), Talk()
        while True:
            heard = await line.turn(address.request(talk.event("message", text="hi"), SECRET))
            if heard.error or heard.ttfs is None:
                self.failed[heard.error or "silent"] += 1
            else:
                self.waited.append(heard.ttfs)
            await asyncio.sleep(0.1)

    def report(self) -> bool:
        p50, p99 = statistics.median(self.waited), percentile(self.waited, 99)
        print(f"others: {len(self.waited)} turns, p50 {p50:.1f} ms, p99 {p99:.1f} ms, failed {dict(self.failed)}")
        return not self.failed


async def connect(server: Running, *, receive_buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    one = socket.socket()
    one.setblocking(False)
    if receive_buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", server.port))
    return await asyncio.open_connection(sock=one)


async def many(server: Running, total: int, one: Callable[[], Awaitable[None]]) -> None:
    """Run `total` attacks, `AT_ONCE` at a time. Sample the server's memory `PARTS` times, at equal intervals."""
    numbers = iter(range(total))

    async def work() -> None:
        for number in numbers:
            if number % (total // PARTS) == 0:
                server.look()
            await one()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def send_malformed(server: Running) -> Counter[str]:
    chance, statuses = random.Random(1), Counter[str]()
    address = server.at("/api/agent")
    lines = [Line(address, timeout=60) for _ in range(AT_ONCE)]

    async def one() -> None:
        body = malformed(chance)
        head = f"POST /api/agent HTTP/1.1\r\nhost: x\r\n{HEADER}: {sign(body, SECRET)}\r\ncontent-length: {len(body)}\r\n\r\n"
        line = lines.pop()
        heard = await line.turn(head.encode() + body)
        lines.append(line)
        statuses[str(heard.status) if heard.status else heard.error] += 1

    await many(server, MALFORMED, one)
    for line in lines:
        line.close()
    return statuses


async def send_bytes(server: Running) -> Counter[str]:
    chance, statuses = random.Random(2), Counter[str]()

    async def one() -> None:
        reader, writer = await connect(server)
        answer = b""
        with suppress(ConnectionError, TimeoutError):
            writer.write(raw(chance))
            writer.write_eof()
            async with asyncio.timeout(0.3):
                answer = await reader.read(64)
        statuses[answer[9:12].decode("latin-1") if answer else "nothing"] += 1
        writer.close()
        with suppress(ConnectionError, RuntimeError):
            await writer.wait_closed()

    await many(server, BYTES, one)
    return statuses


async def rest_idle(server: Running) -> Counter[str]:
    before = server.look()
    silent = [await connect(server) for _ in range(IDLE)]
    resting = [await connect(server) for _ in range(IDLE)]
    for _, writer in resting:
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    for reader, _ in resting:
        await reader.readuntil(b'{"status":"ok"}')
    print(f"idle: {(server.look() - before) * 1000 / (2 * IDLE):.1f} KB for each connection")
    begun = time.perf_counter()
    for number in range(PARTS):
        await asyncio.sleep(0.5)
        server.look()
        if number == PARTS // 2:
            for reader, _ in silent:
                assert await reader.read(1) == b"", (
                    "a silent connection must be closed without an answer after LAYERCODE_HEADER_TIMEOUT"
                )
    assert not any(reader.at_eof() for reader, _ in resting), (
        "a connection that was answered must stay open for LAYERCODE_KEEP_ALIVE"
    )
    for _, writer in [*silent, *resting]:
        writer.close()
    return Counter({f"rested for {time.perf_counter() - begun:.0f} s": 2 * IDLE})


async def be_slow(server: Running) -> Counter[str]:
    ended: Counter[str] = Counter()
    event = GOOD | {"text": "endless"}

    async def send(number: int) -> None:
        reader, writer = await connect(server)
        writer.write(b"POST /api/agent HTTP/1.1\r\nhost: x\r\n")
        writer.write(b"content-length: 100000\r\n\r\n" if number % 2 else b"x-slow: ")
        begun = time.perf_counter()
        with suppress(ConnectionError, RuntimeError):
            while not reader.at_eof() and time.perf_counter() - begun < 60:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.2)
        ended[
            f"sender of a slow {'body' if number % 2 else 'header'} disconnected after {time.perf_counter() - begun:.0f} s"
        ] += 1
        writer.close()

    async def listen(number: int) -> None:
        reader, writer = await connect(server, receive_buffer=4096)
        ids = {"conversation_id": f"slow-{number}", "turn_id": f"t-{time.time_ns()}"}
        writer.write(server.at("/api/agent").request(event | ids, SECRET))
        taken = 0
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(60):
                while await reader.read(1):
                    taken += 1
                    await asyncio.sleep(1)
        writer.close()
        ended[f"slow listener read about {taken // 10 * 10} bytes"] += 1

    work = asyncio.gather(*(send(n) for n in range(SLOW)), *(listen(n) for n in range(SLOW)))
    while not work.done():
        server.look()
        await asyncio.sleep(1)
    await work
    log = server.log.read_text(errors="replace")
    ended["slow listeners that the server disconnected"] = log.count("does not read the answer")
    return ended


KINDS = {"malformed": send_malformed, "bytes": send_bytes, "idle": rest_idle, "slow": be_slow}


async def attack(server: Running, kind: str) -> bool:
    """Run one kind of attack while a well-behaved caller sends turns, and print what happened.

    Return False if the server answered with a 5xx, logged an error or grew too much, or if a turn of the caller failed.
    """
    server.memory.clear()
    others = Others(server)
    beside = asyncio.create_task(others.call())
    begun = time.perf_counter()
    await asyncio.sleep(1)
    async with asyncio.timeout(LONGEST_SECONDS):
        found = await KINDS[kind](server)
    print(f"{kind}: {dict(found)} in {time.perf_counter() - begun:.0f} s")
    await asyncio.sleep(1)
    beside.cancel()
    server.look()
    well = server.report(grown=GROWN_MB.get(kind, 5.0))
    return others.report() and well and not any(name.startswith("5") for name in found)


def main() -> int:
    """Run the kinds of attack that the command line names, or all, each on a new server. Return 1 if one failed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    wrong = []
    for kind in sys.argv[1:] or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "agents").mkdir()
            Path(folder, "agents", "talker.py").write_text(TALKER)
            with running(folder, agent="talker", agents=Path(folder, "agents"), LAYERCODE_API_KEY="test") as server:
                if not uvloop.run(attack(server, kind)):
                    wrong.append(kind)
    print(f"failed: {wrong}" if wrong else "all is well")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
