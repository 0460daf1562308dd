"""The other side of the REST client: a server that answers whatever a test wants, byte for byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FarSide:
    """A server with a list of answers, which are raw bytes.

    It sends the next answer for each request. When only the last answer is left, it sends this one every time.
    """

    url: str = ""
    answers: list[bytes] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def will_answer(self, *answers: bytes) -> None:
        self.answers = list(answers)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await _read(reader))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)


def answer(status: int, body: object = None, *, raw: bytes | None = None, **headers: str) -> bytes:
    """Return the bytes of an HTTP answer. A header says that the connection is closed after the answer."""
    content = json.dumps(body).encode() if raw is None else raw
    lines = [f"HTTP/1.1 {status} Because", f"content-length: {len(content)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


NOTHING = b""
HALF_A_BODY = answer(200, {"agents": ["and so on"]}).removesuffix(b'so on"]}')
NOT_JSON = answer(200, raw=b"<html>It works!</html>")


@asynccontextmanager
async def far_side(*answers: bytes) -> AsyncIterator[FarSide]:
    side = FarSide(answers=list(answers))
    server = await asyncio.start_server(side.handle, "127.0.0.1", 0)
    side.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield side
    finally:
        server.close()
        await server.wait_closed()
