"""`bench`: how long callers wait when many call at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AgentsDir, AsJson, Model, Secret

TARGETS = "Webhooks, or agents by name; several are compared."


def bench(
    targets: Annotated[list[str], typer.Argument(metavar="URL|AGENT...", help=TARGETS)],
    secret: Secret = None,
    callers: Annotated[int, typer.Option("--callers", "-c", min=1, help="Calls at once.")] = 10,
    turns: Annotated[int, typer.Option("--turns", "-t", min=1, help="Turns of each.")] = 5,
    arrivals: Annotated[
        str, typer.Option(help="spread; together: the nth turns of all in one instant; or both.")
    ] = "spread",
    ramp: Annotated[float, typer.Option(min=0, help="Seconds between first and last arrival, when spread.")] = 0.0,
    think: Annotated[float, typer.Option(min=0, help="Seconds before a caller's next turn.")] = 0.0,
    interrupt: Annotated[float, typer.Option(min=0, max=1, help="Share of turns that are spoken over.")] = 0.0,
    say: Annotated[list[str] | None, typer.Option(help="What the callers say; again for more, in turn.")] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", "-r", min=1, help="Default 1, or 3 of each, in turns, where compared.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a turn may take.")] = 60.0,
    model: Model = "offline",
    agents: AgentsDir = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page with plots here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure webhooks under load, or agents served for it: first speech, totals, errors, CPU and memory."""
    from ...output.terminal import print_json, print_line
    from ...testing.bench.load import Load
    from .session import hold
    from .view import show

    load = Load(
        callers=callers, turns=turns, ramp=ramp, think=think, interrupt=interrupt, timeout=timeout, say=tuple(say or ())
    )
    result = hold(
        targets, load, secret=secret, arrivals=arrivals, rounds=rounds, model=model, agents=agents, quiet=as_json
    )
    if html is not None:
        from ...testing.bench.bench_page import as_html

        html.write_text(as_html(result), encoding="utf-8")
    if as_json:
        print_json(result.to_json(), indent=None)
    else:
        show(result)
        if html is not None:
            print_line()
            print_line(f"Wrote {html}.")
    raise SystemExit(1 if result.errors else 0)
