"""Download a session's recording. The bytes go to a partial file first, so that a broken download can be resumed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import httpx

from ..exceptions import PlatformAPIError
from .client import PlatformClient

Progress = Callable[[int, int | None], None]
"""A function that is called with the bytes received so far and the total, which is None if unknown."""
ATTEMPTS = 3
PAST_THE_END = 416


@dataclass(frozen=True)
class _Part:
    """The partial file of one session's recording, and a second file with the recording's ETag."""

    file: Path
    version_file: Path

    @classmethod
    def of(cls, target: Path, session_id: str) -> _Part:
        """Return the partial files of a session. Their names contain its id, so recordings are never mixed."""
        name = f"{target.name}.{quote(session_id, safe='')}"
        return cls(target.with_name(f"{name}.part"), target.with_name(f"{name}.version"))

    @property
    def size(self) -> int:
        return _size(self.file)

    def request_headers(self) -> dict[str, str]:
        """Return headers that request the remaining bytes if the recording is unchanged, else the whole recording."""
        if not self.size:
            return {}
        version = self.version_file.read_text(encoding="latin-1") if self.version_file.exists() else ""
        return {"range": f"bytes={self.size}-"} | ({"if-range": version} if version else {})

    def remember(self, response: httpx.Response) -> None:
        """Save the ETag for the next run. A weak ETag is not saved, because it is not valid for a range request."""
        etag = response.headers.get("etag", "")
        self.version_file.unlink(missing_ok=True)
        if etag.startswith('"'):
            self.version_file.write_text(etag, encoding="latin-1")

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)
        self.version_file.unlink(missing_ok=True)


async def download(
    client: PlatformClient, agent_id: str, session_id: str, target: Path, *, progress: Progress = lambda done, of: None
) -> int:
    """Download the recording as a WAV file, and return its size in bytes. A broken download is resumed.

    Raises PlatformAPIError if there is no recording, if the answer is no WAV file, or if the connection breaks ATTEMPTS
    times. After a broken connection, the bytes so far stay in `<file>.<session>.part`, and the next call resumes there.
    """
    path = f"agents/{quote(agent_id, safe='')}/sessions/{quote(session_id, safe='')}/recording"
    part = _Part.of(target, session_id)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if await _fetch(client, path, part, progress):
                break
        except httpx.TransportError as error:
            if attempt == ATTEMPTS:
                raise PlatformAPIError(
                    f"The download of the recording was interrupted {ATTEMPTS} times; {part.size} bytes are in {part.file}. "
                    "Run the same command again to resume."
                ) from error
    else:
        raise PlatformAPIError(
            f"The platform did not send the requested part of the recording in {ATTEMPTS} attempts; try again later."
        )
    await asyncio.to_thread(_keep, part, target)
    return _size(target)


def _keep(part: _Part, target: Path) -> None:
    with part.file.open("rb") as file:
        magic = file.read(4)
    if magic != b"RIFF":
        part.forget()
        raise PlatformAPIError(
            f"The platform's answer is not a WAV file: it begins with {magic!r}. Check LAYERCODE_API_URL."
        )
    part.file.replace(target)
    part.forget()


async def _fetch(client: PlatformClient, path: str, part: _Part, progress: Progress) -> bool:
    """Download the remaining bytes. Returns false if the partial file did not fit the recording and was deleted."""
    have, headers = part.size, part.request_headers()
    async with client.transport.stream("GET", path, headers=headers, accept=(PAST_THE_END,)) as response:
        start, whole = _range(response)
        if response.status_code == PAST_THE_END and whole == have:
            progress(have, have)
            return True
        if response.status_code == PAST_THE_END or (start is not None and start != have):
            part.forget()
            return False
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0  # the server sends the whole recording, so the partial file is overwritten
        part.remember(response)
        length = response.headers.get("content-length")
        whole = have + int(length) if length and length.isdigit() else whole
        with part.file.open("ab" if have else "wb") as file:
            await _write(response, file, have, whole, progress)
    return True


def _range(response: httpx.Response) -> tuple[int | None, int | None]:
    """Return the first byte's position and the total length from `Content-Range`. Each is None if it is missing."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("content-range", ""))
    start, whole = found.groups() if found else (None, None)
    return (int(start) if start else None), (int(whole) if whole and whole != "*" else None)


async def _write(response: httpx.Response, file: BinaryIO, have: int, whole: int | None, progress: Progress) -> None:
    async for chunk in response.aiter_raw():
        file.write(chunk)
        have += len(chunk)
        progress(have, whole)
    if whole is not None and have < whole:
        raise httpx.RemoteProtocolError(f"{have} of {whole} bytes arrived")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
