"""`check`: test whether a webhook, ours or any other, does what the platform expects."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, Secret, Url, UrlOption, output_file


class FailOn(StrEnum):
    """The lowest severity at which a failed check makes the command fail."""

    error = "error"
    warning = "warning"
    never = "never"


def check(
    url: Url = None,
    url_option: UrlOption = None,
    secret: Secret = None,
    as_json: AsJson = False,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit file.", callback=output_file)] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run only this check or group, such as turns. Repeatable.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Skip this check or group. Repeatable.")] = None,
    max_ttfs: Annotated[float, typer.Option(min=0, help="Maximum milliseconds to first speech.")] = 1500.0,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 1 if a check of this severity or higher fails.")
    ] = FailOn.warning,
    timeout: Annotated[float, typer.Option(min=0.1, help="Maximum seconds per answer.")] = 15.0,
) -> None:
    """Test any LayerCode webhook from outside. Show what fails, why it matters, and how to fix it."""
    import asyncio

    from ..output.files import write_file
    from ..output.progress import steps
    from ..output.terminal import print_json
    from ..testing.check.check_report import junit as as_junit
    from ..testing.check.check_report import show
    from ..testing.check.limits import Limits
    from ..testing.check.run_checks import chosen, run_checks
    from .webhook import required_url, webhook_secret

    address = required_url(url, url_option)
    wanted = chosen(only or (), skip or ())
    with steps("checking", len(wanted), quiet=as_json) as step:
        limits = Limits(timeout=timeout, max_ttfs=max_ttfs)
        report = asyncio.run(
            run_checks(
                address, webhook_secret(secret), limits=limits, only=only or (), skip=skip or (), done=lambda _: step()
            )
        )
    if as_json:
        print_json(report.to_json())
    else:
        show(report)
    if junit is not None:
        write_file(junit, as_junit(report))
    raise SystemExit(1 if report.fails(fail_on.value) else 0)
