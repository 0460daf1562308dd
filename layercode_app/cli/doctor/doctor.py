"""`doctor`: look at this installation from inside."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson


def doctor(
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="Whose model is tried. Default: each of the project's.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out what needs the network.")] = False,
    settings: Annotated[bool, typer.Option("--settings", help="Show every setting and where it comes from.")] = False,
    alerts: Annotated[
        bool, typer.Option("--alerts", help="Send a test to every alert channel, and nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at settings, secrets, agents, journal, model, platform and sinks, and say how to mend what is wrong."""
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
