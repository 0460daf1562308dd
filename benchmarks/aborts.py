"""Measure how fast an interruption reaches the model: from the caller's FIN or RST until the model's socket closes.

    python -m benchmarks.aborts

The model is an HTTP server in this process, so its sockets can be watched; our server runs in another process. Callers
abort before the first token, and in the middle of the reply: 20 aborts a second, then a burst of 100. The aim is that
the slowest socket closes within 100 ms, or within 150 ms in the burst. The benchmark fails if an aim is missed, or if a
socket is never closed.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from .load import request
from .servers import serving

AIM_MS, BURST_AIM_MS = 100.0, 150.0
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}


class Model:
    """A fake of OpenAI's Chat Completions API. It streams words without end, and records when each socket is closed."""

    def __init__(self) -> None:
        self.closed: dict[str, float] = {}
        self.first_token_after = 0.0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection: read one request, and send words until the client disconnects."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(
            next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1]
        )
        body = json.loads(await reader.readexactly(length))
        caller = str(body["messages"][-1]["content"])
        gone = asyncio.ensure_future(_gone(reader))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        await asyncio.wait({gone}, timeout=self.first_token_after)
        while not gone.done():
            delta = {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}
            writer.write(b"data: " + json.dumps(CHUNK | delta).encode() + b"\n\n")
            await asyncio.wait({gone}, timeout=0.05)
        self.closed[caller] = time.perf_counter()
        writer.close()


async def _gone(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        await reader.read()


async def abort(port: int, text: str, *, after: float, reset: bool) -> float:
    """Send a turn, disconnect, and return the time of the disconnect.

    If `after` is below 1, it is the number of seconds from the first speech to the disconnect. If `after` is 1 or more,
    the seconds count from the request, and 1 is subtracted: `after=1.3` disconnects 0.3 seconds after the request.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/api/agent", f"c-{text}", text))
    if after < 1:
        await reader.readuntil(b"response.tts")
    await asyncio.sleep(after % 1)
    if reset:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    at = time.perf_counter()
    writer.transport.abort() if reset else writer.close()
    return at


async def measure(port: int, model: Model, name: str, *, after: float, count: int, gap: float) -> bool:
    """Abort `count` turns, and print how fast the model's sockets closed.

    One turn is aborted every `gap` seconds. If `gap` is 0, all turns are aborted at once. Return whether every socket
    closed within `AIM_MS`, or within `BURST_AIM_MS` if `gap` is 0.
    """
    begun: dict[str, float] = {}

    async def one(number: int) -> None:
        await asyncio.sleep(gap * number)
        text = f"{name}-{number}"
        begun[text] = await abort(port, text, after=after, reset=bool(number % 2))

    await asyncio.gather(*(one(number) for number in range(count)))
    for _ in range(500):
        if all(text in model.closed for text in begun):
            break
        await asyncio.sleep(0.01)
    taken = sorted((model.closed.get(text, float("inf")) - at) * 1000 for text, at in begun.items())
    print(f"{name:32} {count:4} aborts: p50 {taken[len(taken) // 2]:6.1f} ms   worst {taken[-1]:6.1f} ms")
    return taken[-1] <= (AIM_MS if gap else BURST_AIM_MS)


def _leave(folder: str, url: str) -> None:
    Path(folder, "model-url").write_text(url)


async def main() -> int:
    """Abort turns in the middle of the reply and before the first token. Return 1 if an aim was missed, else 0."""
    model = Model()
    server = await asyncio.start_server(model.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    with tempfile.TemporaryDirectory() as folder:
        _leave(folder, url)
        with serving("ours_over_http", folder) as (port, _):
            model.first_token_after = 0.0
            await measure(port, model, "warm-up", after=0.1, count=5, gap=0.05)
            met = await measure(port, model, "in the middle, 20 a second", after=0.2, count=60, gap=0.05)
            met &= await measure(port, model, "in the middle, burst of 100", after=0.5, count=100, gap=0.0)
            model.first_token_after = 60.0
            met &= await measure(port, model, "before the first token, 20 a s", after=1.3, count=60, gap=0.05)
            met &= await measure(port, model, "before the first token, burst", after=1.9, count=100, gap=0.0)
    server.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
