"""A request that asks to upgrade the connection is answered like any other: the server speaks HTTP/1.1 only."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from layercode_app.webhook.signature import sign

from ..calling import SECRET, connected

pytestmark = pytest.mark.anyio

UPGRADES = {
    "curl --http2": "upgrade: h2c\r\nconnection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "WebSocket": "Upgrade: websocket\r\nConnection: upgrade\r\nsec-websocket-version: 13\r\n",
}
each_upgrade = pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)


def webhook(upgrade: str, turn_id: str, *, chunked: bool = False, signed: bool = True) -> bytes:
    event = {"type": "session.start", "session_id": "s", "conversation_id": f"c-{turn_id}", "turn_id": turn_id}
    body = json.dumps(event).encode()
    length = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    signature = sign(body, SECRET if signed else "another-secret")
    head = f"POST /api/agent HTTP/1.1\r\nhost: x\r\nlayercode-signature: {signature}\r\n{upgrade}{length}\r\n\r\n"
    return head.encode() + (b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)


def get(path: str, upgrade: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n".encode()


async def statuses(reader: asyncio.StreamReader) -> list[str]:
    """Read until the server closes the connection, and return the statuses of all answers."""
    answers = await asyncio.wait_for(reader.read(), 100)
    return [part[:3].decode() for part in answers.split(b"HTTP/1.1 ")[1:]]


LAST = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@each_upgrade
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("pieces", [1, 3, 40])
async def test_a_webhook_is_answered(tmp_path: Path, upgrade: str, chunked: bool, pieces: int) -> None:
    request = webhook(upgrade, "t1", chunked=chunked)
    step = -(-len(request) // pieces)
    async with connected(tmp_path) as (reader, writer):
        for start in range(0, len(request), step):
            writer.write(request[start : start + step])
            await asyncio.sleep(0.005 if pieces > 1 else 0)
        writer.write(LAST)
        assert await statuses(reader) == ["200", "200"]


@each_upgrade
async def test_one_that_is_not_signed_is_refused(tmp_path: Path, upgrade: str) -> None:
    async with connected(tmp_path) as (reader, writer):
        writer.write(webhook(upgrade, "t1", signed=False) + LAST)
        assert await statuses(reader) == ["401", "200"]


async def test_several_in_one_piece_are_all_answered(tmp_path: Path) -> None:
    http2, socket = UPGRADES.values()
    async with connected(tmp_path) as (reader, writer):
        writer.write(webhook(http2, "t1") + get("/health", socket) + webhook(socket, "t2") + webhook("", "t3") + LAST)
        assert await statuses(reader) == ["200"] * 5


async def test_connect_is_refused(tmp_path: Path) -> None:
    async with connected(tmp_path) as (reader, writer):
        writer.write(b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await statuses(reader) == ["400"]
