"""Alerts: rules looked at every so often by one worker at a time; each fires once, and recovers once.

What fires is kept in the owed job itself, so it survives restarts and is the same for every worker of every host.
Messages are owed jobs of their own: a channel that is down is tried again, and holds up nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger

from ..conversation import steady
from ..conversation.stores.base import Job, Store
from ..exceptions import DeveloperError
from ..settings import Settings
from .channels import Channels
from .jumps import ClockJumps
from .refusals import Refusals
from .rules import Rule, rules_of
from .window import Windows

ALERTS, ALERT_MESSAGE = "alerts", "alert_message"
Owe = Callable[[Job], Awaitable[bool]]


class Alerts:
    """The alert rules of this installation. Raises ConfigurationError for a rule that cannot work."""

    def __init__(self, settings: Settings, store: Store, refusals: Refusals, owe: Owe) -> None:
        self.rules = rules_of(settings)
        self._channels = Channels.of(settings)
        self._interval = settings.alert_interval
        self._service = f"{settings.service_name} ({settings.app_env})"
        self._windows = Windows(store, refusals)
        self._jumps = ClockJumps()
        self._owe = owe

    async def look(self, job: Job) -> float:
        """Look at every rule, owe the messages, and tell when to look again (epoch seconds)."""
        now = time.time()
        rules = [rule for rule in self.rules if not self._jumps.within(rule.window)]
        values = await self._windows.values(rules, now) if rules else {}
        states: dict[str, Any] = job.payload
        for rule in rules:
            state = states.setdefault(rule.name, {"firing": False, "times": 0})
            value, turns = values[rule.name]
            limit = await self._windows.limit(rule, now)
            firing = _fires(rule, value, limit, turns)
            if firing != state["firing"]:
                await self._tell(rule, state, firing, value, limit)
        return steady.now() + self._interval

    async def _tell(
        self, rule: Rule, state: dict[str, Any], firing: bool, value: float | None, limit: float | None
    ) -> None:
        times = state["times"] + firing
        what = "fired" if firing else "recovered"
        logger.bind(event="alert", rule=rule.name, value=value).warning("Alert {} {}: {}", rule.name, what, rule.when)
        title = f"[{self._service}] {rule.name} {what}"
        body = f"{rule.when} over {_span(rule.window)}: {_shown(rule, value)}{_compared(rule, limit)}."
        for channel in rule.channels:
            # The id makes it one message, also when this worker dies before it can say that it looked.
            job_id = f"alert-{rule.name}-{times}-{what}-{channel}"
            await self._owe(Job(job_id, ALERT_MESSAGE, "", {"channel": channel, "title": title, "body": body}))
        state["firing"], state["times"] = firing, times

    async def deliver(self, job: Job) -> None:
        """Send one message. Raises ChannelError, and is tried again then."""
        name = job.payload["channel"]
        if name not in self._channels.urls:
            raise DeveloperError(f"An alert waits for the channel {name!r}, which this server does not have.")
        await self._channels.send(name, job.payload["title"], job.payload["body"])


async def send_test(settings: Settings) -> dict[str, str | None]:
    """Send a test to every channel: its name, and what went wrong or None. Raises ConfigurationError."""
    from .channels import ChannelError

    rules, channels = rules_of(settings), Channels.of(settings)
    results: dict[str, str | None] = {}
    for name in channels.urls:
        used = ", ".join(rule.name for rule in rules if name in rule.channels) or "no rule"
        try:
            await channels.send(name, f"[{settings.service_name}] test", f"This channel works. It is used by: {used}.")
            results[name] = None
        except ChannelError as error:
            results[name] = str(error)
    return results


def _fires(rule: Rule, value: float | None, limit: float | None, turns: int) -> bool:
    if value is None or limit is None or turns < rule.at_least:
        return False
    return rule.broken_by(value, limit)


def _shown(rule: Rule, value: float | None) -> str:
    if value is None:
        return "nothing in this time"
    if rule.metric.endswith("_rate"):
        return f"{value:.1%}"
    if rule.metric == "cost":
        return f"${value:,.4f}"
    return f"{value:,.0f} ms" if rule.metric.startswith("p") and rule.metric[1:].isdigit() else f"{value:,.6g}"


def _compared(rule: Rule, limit: float | None) -> str:
    return "" if rule.baseline is None else f" against {_shown(rule, limit)}"


def _span(seconds: float) -> str:
    for size, letter in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{letter}"
    return f"{seconds:g}s"
