"""`bench`: measure how long callers wait when many call at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AgentsDir, AsJson, Model, Secret, output_file

TARGETS = "Webhooks (http://host/path, localhost:8000) or agent names. Several are compared."


def bench(
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="URL|AGENT...", help=TARGETS, show_default=False)
    ] = None,
    urls: Annotated[
        list[str] | None, typer.Option("--url", help="Also measure this webhook. Repeatable.", show_default=False)
    ] = None,
    secret: Secret = None,
    callers: Annotated[int, typer.Option("--callers", "-c", min=1, help="Concurrent calls.")] = 10,
    turns: Annotated[int, typer.Option("--turns", "-t", min=1, help="Turns per call.")] = 5,
    arrivals: Annotated[
        str,
        typer.Option(help="spread (each caller at its own pace), together (all callers send turn n at once), or both."),
    ] = "spread",
    ramp: Annotated[
        float, typer.Option(min=0, help="With --arrivals spread: seconds between the first and the last caller.")
    ] = 0.0,
    think: Annotated[float, typer.Option(min=0, help="Seconds that a caller waits before the next turn.")] = 0.0,
    interrupt: Annotated[float, typer.Option(min=0, max=1, help="Share of turns that the caller interrupts.")] = 0.0,
    say: Annotated[list[str] | None, typer.Option(help="What the callers say. Repeatable: used in rotation.")] = None,
    rounds: Annotated[
        int | None,
        typer.Option("--rounds", "-r", min=1, help="Rounds per target. Default 1, or 3 when targets are compared."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Maximum seconds per turn.")] = 60.0,
    model: Model = "offline",
    agents: AgentsDir = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained page with plots to this file.", callback=output_file)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure webhooks or agents under load: first speech, totals, errors, CPU and memory."""
    from ...output.files import write_file
    from ...output.terminal import print_json, print_line
    from ...testing.bench.load import Load
    from ..webhook import targets_of
    from .session import run_bench
    from .view import show

    load = Load(
        callers=callers, turns=turns, ramp=ramp, think=think, interrupt=interrupt, timeout=timeout, say=tuple(say or ())
    )
    result = run_bench(
        targets_of(targets, urls),
        load,
        secret=secret,
        arrivals=arrivals,
        rounds=rounds,
        model=model,
        agents=agents,
        quiet=as_json,
    )
    if as_json:
        print_json(result.to_json(), indent=None)
    else:
        show(result)
    if html is not None:
        from ...testing.bench.bench_page import as_html

        write_file(html, as_html(result))
        if not as_json:
            print_line()
            print_line(f"Wrote {html}.")
    raise SystemExit(1 if result.errors else 0)
