"""`doctor`: check this installation from inside."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson


def doctor(
    agent: Annotated[
        str | None,
        typer.Option("--agent", "-a", help="Agent whose model is tested. Default: all agents of the project."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Skip the checks that need the network.")] = False,
    settings: Annotated[bool, typer.Option("--settings", help="Show every setting and where it comes from.")] = False,
    alerts: Annotated[
        bool, typer.Option("--alerts", help="Run no checks; send a test message to every alert channel.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, secrets, agents, journal, model, platform and sinks, and show how to fix each problem."""
    import asyncio

    from loguru import logger

    from ...doctor.examine import examine
    from ...observability import console
    from .view import print_alerts, print_json, print_report

    logger.remove()
    console.add(level="ERROR", brief=False, backtrace=False, diagnose=False)
    if alerts:
        from ...settings import load_settings
        from ...watch.alerts import send_test

        raise typer.Exit(print_alerts(asyncio.run(send_test(load_settings())), as_json=as_json))
    found = asyncio.run(examine(agent=agent, offline=offline))
    if as_json:
        print_json(found)
    else:
        print_report(found, settings=settings)
    raise typer.Exit(0 if found.healthy else 1)
