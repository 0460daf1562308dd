"""Run `bench`: start the agents, measure every target, and stop the agents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import typer

from ...emulator.address import is_address
from ...output.progress import steps
from ...testing.bench.load import ARRIVALS, Load
from ...testing.bench.measure import measure
from ...testing.bench.result import Result
from ...testing.bench.targets import Serving, open_targets
from ..webhook import webhook_secret

COMPARED_ROUNDS = 3


def run_bench(
    names: Sequence[str], load: Load, *, secret: str | None, arrivals: str, rounds: int | None,
    model: str | None, agents: Path | None, quiet: bool,
) -> Result:  # fmt: skip
    """Measure every target, with a progress bar unless `quiet`."""
    kinds = ARRIVALS.get(arrivals)
    if kinds is None:
        raise typer.BadParameter(f"{arrivals!r}: expected one of {', '.join(ARRIVALS)}.", param_hint="--arrivals")
    times = rounds or (COMPARED_ROUNDS if len(names) > 1 else 1)
    # An agent that `bench` starts itself gets its own secret.
    signing = webhook_secret(secret) if any(map(is_address, names)) else ""
    with (
        open_targets(names, secret=signing, serving=Serving(agents, model)) as targets,
        steps("calling", load.callers * load.turns * len(names) * len(kinds) * times, quiet=quiet) as step,
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        series = runner.run(measure(targets, load, arrivals=kinds, rounds=times, done=step))
    return Result(load, arrivals, times, series)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop, which leaves more CPU time to a local server, or None if uvloop is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
