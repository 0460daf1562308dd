"""Fetch a session's recording: to a file beside first, so that a broken download goes on where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import httpx

from ..exceptions import PlatformAPIError
from .client import PlatformClient

Progress = Callable[[int, int | None], None]
"""Told how many bytes there are, and of how many, where that is known."""
ATTEMPTS = 3
UNCHANGED = 416


async def download(
    client: PlatformClient, agent_id: str, session_id: str, target: Path, *, progress: Progress = lambda done, of: None
) -> int:
    """Write the WAV to a file and return its size in bytes; a line that breaks is taken up again.

    Raises PlatformAPIError when there is none, or when it breaks too often; what came stays in `<file>.part`, and the
    next try goes on from there.
    """
    path = f"agents/{quote(agent_id, safe='')}/sessions/{quote(session_id, safe='')}/recording"
    part = target.with_name(target.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await _fetch(client, path, part, progress)
            break
        except httpx.TransportError as error:
            if attempt == ATTEMPTS:
                raise PlatformAPIError(
                    f"The recording broke off {ATTEMPTS} times; {_size(part)} bytes are in {part}. "
                    "Run the same command again to go on from there."
                ) from error
    await asyncio.to_thread(_keep, part, target)
    return _size(target)


def _keep(part: Path, target: Path) -> None:
    with part.open("rb") as file:
        magic = file.read(4)
    if magic != b"RIFF":
        part.unlink()
        raise PlatformAPIError(f"What the platform sent is no WAV; it begins with {magic!r}. Check LAYERCODE_API_URL.")
    part.replace(target)


async def _fetch(client: PlatformClient, path: str, part: Path, progress: Progress) -> None:
    have = _size(part)
    headers = {"range": f"bytes={have}-"} if have else {}
    try:
        async with client.transport.stream("GET", path, headers=headers) as response:
            if response.status_code != httpx.codes.PARTIAL_CONTENT:
                have = 0  # the whole of it comes, so what is there is written over
            length = response.headers.get("content-length")
            whole = have + int(length) if length and length.isdigit() else None
            with part.open("ab" if have else "wb") as file:
                await _write(response, file, have, whole, progress)
    except PlatformAPIError as error:
        if error.status != UNCHANGED:
            raise
        # All of it was there already.
        progress(have, have)


async def _write(response: httpx.Response, file: BinaryIO, have: int, whole: int | None, progress: Progress) -> None:
    async for chunk in response.aiter_raw():
        file.write(chunk)
        have += len(chunk)
        progress(have, whole)
    if whole is not None and have < whole:
        raise httpx.RemoteProtocolError(f"{have} of {whole} bytes came")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
