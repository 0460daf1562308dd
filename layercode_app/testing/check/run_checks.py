"""Run the checks against one webhook, one after another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from ...emulator.webhooks import WebhookClient
from ...exceptions import ConfigurationError
from . import bodies, events, frames, signatures, turns
from .limits import FailedError, Limits, SkippedError
from .model import ALL, Check, Outcome, Report
from .probe import Probe

GROUPS = [module.GROUP for module in (signatures, frames, events, turns, bodies)]
FIRST = "signature.right"
DIED = "the webhook died during this check or the previous one: nothing listens at its URL any more"
RESTART_SECONDS = 1.0
"""The time that an unreachable webhook gets to restart."""


async def run_checks(
    url: str,
    secret: str,
    *,
    limits: Limits | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    done: Callable[[Outcome], None] = lambda outcome: None,
) -> Report:
    """Check a webhook. `only` and `skip` name checks or groups, and `done` is called with each outcome.

    If even an ordinary message is not answered, the check `signature.right` fails, and all others are skipped. Raises
    ConfigurationError if nothing listens at the URL, or if a given name is neither a check nor a group.
    """
    limits = limits or Limits()
    report = Report(url)
    async with WebhookClient(url, secret, timeout=limits.timeout) as client:
        probe = Probe(client, limits)
        for check in chosen(only, skip):
            unanswered = any(outcome.check.name == FIRST for outcome in report.failed)
            if report.died:
                outcome = _not_tried(check, "the webhook has died")
            elif unanswered:
                outcome = _not_tried(check, "an ordinary message is not answered")
            else:
                outcome = await _run(check, probe)
            if check.name == FIRST and probe.unreachable:
                raise ConfigurationError(
                    f"Nothing listens at {url}. Start the server (`layercode-create-app run` or `dev`), or give the URL "
                    "of its webhook, such as http://127.0.0.1:8000/api/agent."
                )
            report.outcomes.append(outcome)
            done(outcome)
    return report


def chosen(only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Check]:
    """Return the checks to run; `signature.right` always runs. Raises ConfigurationError for an unknown name."""
    known = sorted(ALL, key=lambda check: GROUPS.index(check.group))
    for name in (*only, *skip):
        if not any(_fits(check, name) for check in known):
            groups = ", ".join(GROUPS)
            raise ConfigurationError(f"There is no check {name!r}; expected a group ({groups}) or the name of a check.")

    def wanted() -> Iterator[Check]:
        for check in known:
            picked = not only or any(_fits(check, name) for name in only)
            if check.name == FIRST or (picked and not any(_fits(check, name) for name in skip)):
                yield check

    return list(wanted())


def _fits(check: Check, name: str) -> bool:
    return name in (check.name, check.group)


def _not_tried(check: Check, reason: str) -> Outcome:
    return Outcome(check, "skipped", f"skipped, because {reason}")


async def _has_died(probe: Probe) -> bool:
    """Return whether the webhook is unreachable, both now and after RESTART_SECONDS."""
    if not probe.unreachable:
        return False
    await asyncio.sleep(RESTART_SECONDS)
    await probe.post(b"{}", {})
    return probe.unreachable


async def _run(check: Check, probe: Probe) -> Outcome:
    begun = time.perf_counter()
    try:
        await check.body(probe)
    except FailedError as error:
        if check.name != FIRST and await _has_died(probe):
            return Outcome(check, "failed", DIED, time.perf_counter() - begun, died=True)
        return Outcome(check, "failed", str(error), time.perf_counter() - begun)
    except SkippedError as error:
        return Outcome(check, "skipped", str(error), time.perf_counter() - begun)
    return Outcome(check, "passed", "", time.perf_counter() - begun)
