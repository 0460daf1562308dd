"""Measure each peer's time to first speech. The peers use a model server that streams the same words to each peer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import uvloop

from ..load import drive
from ..servers import TOKEN_SECONDS, TOKENS
from .echo import keep, start_all
from .results import Result

MEASURE = "ttfs"
TURNS = {1: 10, 10: 5, 50: 4, 100: 2}
ARRIVALS = {"spread": TOKENS * TOKEN_SECONDS, "at once": 0.0}
"""Seconds from the first caller's arrival to the last caller's."""


def name(callers: int, arrivals: str) -> str:
    """Return the name under which the figures for these callers and arrivals are stored in a `Result`."""
    return f"{MEASURE} {callers} {arrivals}"


def measure(results: Sequence[Result], *, rounds: int, model_url: str, core: int | None) -> None:
    """Start all peers. Measure them alternately, for each number of callers in TURNS and each entry of ARRIVALS."""
    with ExitStack() as stack:
        servers = start_all(stack, results, MEASURE, "model", model_url, core)
        for _, server in servers:
            uvloop.run(drive(server.port, server.peer.path, callers=10, turns=3, remembering=False))
        for callers, turns in TURNS.items():
            for arrivals, spread in ARRIVALS.items():
                for _ in range(rounds):
                    for result, server in servers:
                        plan = drive(
                            server.port, server.peer.path, callers=callers, turns=turns, spread=spread,
                            remembering=False, limit=60,
                        )  # fmt: skip
                        keep(result, name(callers, arrivals), uvloop.run(plan))
