"""Count the model requests that a server sent a second time during a round. The numbers come from its metrics."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

SECONDS = 2.0
_ROUTE = re.compile(r"/api/agents?(/[^/]*)?$")
_COUNT = re.compile(r"^layercode_model_hedges_total\{([^}]*)\} ([0-9.e+]+)", re.MULTILINE)


@dataclass
class Hedged:
    """The model requests that were sent a second time in a round.

    `sent` is the number of second requests. `won` is the number of those that were answered before the first request.
    None means unknown.
    """

    sent: int | None = None
    won: int | None = None

    def to_json(self) -> dict[str, Any] | None:
        """Return a dictionary for JSON, or None if the numbers are unknown."""
        return None if self.sent is None else {"sent": self.sent, "won": self.won}


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[Hedged]:
    """While the block runs, count the model requests that the webhook's server sends a second time."""
    hedged, before = Hedged(), await _read(url)
    yield hedged
    after = await _read(url)
    if before is not None and after is not None:
        hedged.sent, hedged.won = (now - then for now, then in zip(after, before, strict=True))


async def _read(url: str) -> tuple[int, int] | None:
    """Return how many requests were sent a second time, and how many of these second requests were answered first.

    Return None if the server does not answer or has no metrics.
    """
    at = httpx.URL(url)
    at = at.copy_with(path=_ROUTE.sub("", at.path).rstrip("/") + "/metrics", query=None)
    try:
        async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
            answer = await client.get(at)
    except httpx.HTTPError:
        return None
    if answer.status_code != 200 or "layercode_" not in answer.text:
        return None
    found = [(labels, int(float(count))) for labels, count in _COUNT.findall(answer.text)]
    return sum(count for _, count in found), sum(count for labels, count in found if 'won="true"' in labels)
