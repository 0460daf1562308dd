"""`LAYERCODE_HEADER_LIMIT` is exact: a head of that size is accepted, and a head with one more byte is refused.

It makes no difference how the head is split into packets.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ..calling import connected

pytestmark = pytest.mark.anyio

LIMIT = 2_000
BODY = b"x" * 5_000


def head(size: int, *, body: bytes = b"", method: str = "GET", padding: str = "header") -> bytes:
    """Return a request whose line and headers have this size in bytes."""
    fixed = f"{method} /health HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    name, value = ("x-more: ", "") if padding == "header" else ("x-more:", " ")
    room = size - len(fixed) - len(name) - len(value) - len("\r\n\r\n")
    filler = "y" * room if padding == "header" else " " * (room - 1) + "y"
    made = f"{fixed}{name}{value}{filler}\r\n\r\n".encode()
    assert len(made) == size
    return made + body


async def status(reader: asyncio.StreamReader) -> bytes:
    """Read the next answer completely, and return its status."""
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 100)
    length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length: "))
    await reader.readexactly(int(length.removeprefix(b"content-length: ")))
    return answer.split(b" ")[1]


@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize("padding", ["header", "white space"])
@pytest.mark.parametrize(("over", "expected"), [(0, b"200"), (1, b"431")])
async def test_the_limit_is_exact(tmp_path: Path, pieces: int, padding: str, over: int, expected: bytes) -> None:
    request = head(LIMIT + over, padding=padding)
    step = -(-len(request) // pieces)
    async with connected(tmp_path, header_limit=LIMIT) as (reader, writer):
        for start in range(0, len(request), step):
            writer.write(request[start : start + step])
            await asyncio.sleep(0.005 if pieces > 1 else 0)
        assert await status(reader) == expected


async def test_the_documented_default_refuses_100_kilobytes(tmp_path: Path) -> None:
    async with connected(tmp_path, header_limit=65_536) as (reader, writer):
        writer.write(head(100_000))
        assert await status(reader) == b"431"


async def test_a_body_in_the_same_piece_does_not_count(tmp_path: Path) -> None:
    async with connected(tmp_path, header_limit=LIMIT) as (reader, writer):
        for _ in range(3):
            writer.write(head(LIMIT, body=BODY, method="POST"))
            assert await status(reader) == b"404"
        writer.write(head(LIMIT + 1, body=BODY, method="POST"))
        assert await status(reader) == b"431"


@pytest.mark.parametrize(("over", "expected"), [(0, b"200"), (1, b"431")])
async def test_a_request_behind_another_in_one_piece_has_the_same_limit(
    tmp_path: Path, over: int, expected: bytes
) -> None:
    async with connected(tmp_path, header_limit=LIMIT) as (reader, writer):
        writer.write(head(500, body=BODY, method="POST") + head(LIMIT + over))
        answers: list[bytes] = []
        while len(answers) < 2 and expected not in answers:
            answers.append(await status(reader))
        assert answers[-1] == expected
