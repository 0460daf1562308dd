"""Probe a webhook's URL: does it reach our server, and does the answer arrive unbuffered?

The probe is a signed event of a type that only our server knows. The server answers with one frame every PAUSE_SECONDS;
it starts no turn and writes nothing to the journal. The frames name the server's project. Only a client with the
webhook secret gets them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import orjson

from ..webhook import HEADER, sign

PROBE = "layercode_app.probe"
FRAMES = 3
PAUSE_SECONDS = 0.25
"""Seconds between two frames of the answer."""
TIMEOUT_SECONDS = 10.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Verdict:
    """The result of a probe. `reason` says what is wrong and how to fix it; "" if all is well."""

    reached: bool
    unbuffered: bool
    reason: str = ""
    milliseconds: float = 0.0
    """The time to the first frame."""
    project: str = ""
    """The hash of the server's project; see `project_here`."""
    agent: str = ""
    """The name of the agent that answers at the URL."""

    @property
    def fine(self) -> bool:
        """Whether calls work through this URL."""
        return self.reached and self.unbuffered


def project_here() -> str:
    """Return a hash of the working folder. It identifies the project of this process."""
    return hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]


async def probe(url: str, secret: str) -> Verdict:
    """Probe a webhook's full URL.

    If the answer seems buffered, probe once more: this process may have been too busy to read it as it arrived.
    """
    verdict = await _probe_once(url, secret)
    return await _probe_once(url, secret) if verdict.reached and not verdict.unbuffered else verdict


async def _probe_once(url: str, secret: str) -> Verdict:
    event = orjson.dumps({"type": PROBE, "session_id": "probe", "conversation_id": "probe"})
    headers = {"content-type": "application/json", HEADER: sign(event, secret)}
    begun = time.perf_counter()
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client,
            client.stream("POST", url, content=event, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK or "event-stream" not in response.headers.get("content-type", ""):
                return Verdict(False, False, _refused(response))
            arrivals, body = [], b""
            async for part in response.aiter_raw():
                arrivals.append(time.perf_counter() - begun)
                body += part
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Verdict(False, False, f"{url} cannot be reached: {type(error).__name__}: {error}")
    if not arrivals:
        return Verdict(False, False, f"{url} sent an empty stream.")
    said = _identity(body)
    return replace(_judge(url, arrivals), project=said.get("project", ""), agent=said.get("agent", ""))


def _identity(stream: bytes) -> dict[str, str]:
    """Return the project and the agent that the first frame names, or {} if it names none (older servers)."""
    found = re.search(rb"^data: (.+)$", stream, re.MULTILINE)
    try:
        content = orjson.loads(found[1])["content"] if found else {}
        return {name: str(content.get(name, "")) for name in ("project", "agent")}
    except (orjson.JSONDecodeError, KeyError, AttributeError):
        return {}


def _judge(url: str, arrivals: list[float]) -> Verdict:
    took = arrivals[-1] - arrivals[0]
    if took < PAUSE_SECONDS * (FRAMES - 1) / 2:
        why = (
            f"{url} buffers the stream: switch off buffering and compression for this path in the proxy "
            "(we send X-Accel-Buffering: no)."
        )
        return Verdict(True, False, why, arrivals[0] * 1000)
    return Verdict(True, True, milliseconds=arrivals[0] * 1000)


def _refused(response: httpx.Response) -> str:
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED:
        return "The server has another webhook secret: compare LAYERCODE_WEBHOOK_SECRET on both sides."
    if status == httpx.codes.OK:
        return f"{response.url} answers, but it is not this server."
    return f"{response.url} answers {status}: it is another server, or the path is wrong (LAYERCODE_AGENT_ROUTE)."


async def probe_until_reached(url: str, secret: str, *, seconds: float) -> Verdict:
    """Probe repeatedly until the URL reaches the server, because a new host name takes time to become known.

    Returns the last verdict if that takes longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        verdict = await probe(url, secret)
        if verdict.reached or time.monotonic() > deadline:
            return verdict
        await asyncio.sleep(RETRY_SECONDS)
