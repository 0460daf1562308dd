"""Evaluate alert rules periodically, in one worker at a time.

A rule sends one message to each of its channels when it starts to fire, and one when it recovers. The state of the
rules is stored in the alerts job: it survives restarts, and all workers on all hosts share it. Services that share a
journal have a job each, so that no service evaluates the rules of another one. Each message is a separate job, so a
channel that is down delays no messages of other channels. A message that could not be sent is retried.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger

from ..exceptions import ConfigurationError, DeveloperError, StoreError
from ..journal import steady_clock
from ..journal.stores.base import Job, Store
from ..settings import Settings
from .channels import Channels, Kind
from .jumps import ClockJumps
from .metrics import SYSTEM, VOLUMES
from .pending import PendingTotals
from .refusals import Refusals
from .rules import SHARES, Rule, rules_of
from .system import System
from .window import Reading, Windows

ALERTS, ALERT_MESSAGE = "alerts", "alert_message"
UNNAMED: str = Settings.model_fields["service_name"].default
"""The default of SERVICE_NAME. A service with this name uses the id `ALERTS` for its alerts job.

In earlier releases, all services shared one alerts job with this id.
"""
TRACE_ID = "{trace_id}"
LEVELS = {"info": "INFO", "warning": "WARNING", "critical": "CRITICAL"}
MARKS: dict[str, Kind] = {"info": "info", "warning": "warning", "critical": "failure"}
Enqueue = Callable[[Job], Awaitable[bool]]


class Alerts:
    """The alert rules of this installation. Raises ConfigurationError for an invalid rule, channel or trace URL."""

    def __init__(
        self, settings: Settings, store: Store, pending: PendingTotals, refusals: Refusals, enqueue: Enqueue
    ) -> None:
        self.rules = rules_of(settings)
        self._channels = Channels.of(settings)
        self._interval = settings.alert_interval
        self._name = settings.service_name
        self.job_id = ALERTS if self._name == UNNAMED else f"{ALERTS}-{self._name}"
        self._service = f"{settings.service_name} ({settings.app_env})"
        self._jumps = ClockJumps()
        self._system = System(store, pending)
        self._windows = Windows(store, refusals, self._system)
        self._trace_url = settings.trace_url
        if self._trace_url and TRACE_ID not in self._trace_url:
            raise ConfigurationError(
                f"The setting LAYERCODE_TRACE_URL is wrong: {self._trace_url!r}; expected a URL with {TRACE_ID} in it."
            )
        self._enqueue = enqueue

    def owns(self, job: Job) -> bool:
        """Return whether a job evaluates this service's rules or sends one of its messages."""
        if job.name == ALERTS:
            return bool(self.rules) and job.id == self.job_id
        # Another service may have the same name, but other channels.
        return self._is_ours(job) and job.payload["channel"] in self._channels.urls

    def _is_ours(self, message: Job) -> bool:
        # A message of an older release names no service.
        return bool(message.payload.get("service", self._name) == self._name)

    async def look(self, job: Job) -> float:
        """Evaluate every rule, enqueue the messages, and return when to evaluate again (epoch seconds).

        A rule whose window contains a change of the clock keeps its state. So does a rule that fails. Raises StoreError.
        """
        now = time.time()
        rules = [rule for rule in self.rules if not self._jumps.within(rule.window)]
        counted = await self._windows.count(rules, now) if rules else {}
        states: dict[str, Any] = job.payload
        for rule in rules:
            state = states.setdefault(rule.name, {"firing": False, "times": 0})
            try:
                reading = await self._windows.reading(rule, counted[rule.name], now)
                await self._evaluate(rule, state, reading, now)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - the other rules must still be evaluated
                logger.opt(exception=error).error("Alert {} could not be evaluated", rule.name)
        return steady_clock.now() + self._interval

    async def _evaluate(self, rule: Rule, state: dict[str, Any], reading: Reading, now: float) -> None:
        limit = await self._windows.limit(rule, now)
        firing = fires(rule, reading, limit, before=state["firing"])
        if firing != state["firing"]:
            await self._tell(rule, state, firing, reading, limit)

    async def _tell(
        self, rule: Rule, state: dict[str, Any], firing: bool, reading: Reading, limit: float | None
    ) -> None:
        times = state["times"] + firing
        what = "fired" if firing else "recovered"
        bound = logger.bind(event="alert", rule=rule.name, value=reading.value, severity=rule.severity)
        bound.log(LEVELS[rule.severity] if firing else "INFO", "Alert {} {}: {}", rule.name, what, rule.when)
        severity = f" ({rule.severity})" if firing and rule.severity != "warning" else ""
        title = f"[{self._service}] {rule.name} {what}{severity}"
        body = f"{rule.when} over {_span(rule.window)}: {_shown(rule, reading.value)}{_compared(rule, limit)}."
        if firing and reading.trace_id:
            body += f"\n{self._trace(reading.trace_id)}"
        kind = MARKS[rule.severity] if firing else "success"
        for channel in rule.channels:
            # The id prevents a second message if this worker dies before the state is saved.
            job_id = f"alert-{self._name}-{rule.name}-{times}-{what}-{channel}"
            message = {"channel": channel, "title": title, "body": body, "kind": kind, "service": self._name}
            await self._enqueue(Job(job_id, ALERT_MESSAGE, "", message))
        state["firing"], state["times"] = firing, times

    def start(self) -> None:
        """Start to sample this host if a rule uses host metrics. Every worker takes samples."""
        if any(rule.metric in SYSTEM for rule in self.rules):
            self._system.start()

    async def stop(self) -> None:
        """Stop sampling this host."""
        await self._system.stop()

    async def prune(self) -> None:
        """Delete old samples of the hosts."""
        await self._system.prune()

    def _trace(self, trace_id: str) -> str:
        """Return a line with a link to the trace of an example turn, or with the trace's id if no trace URL is set."""
        url = self._trace_url.replace(TRACE_ID, trace_id) if self._trace_url else trace_id
        return f"An example turn from this window: {url}"

    async def deliver(self, job: Job) -> None:
        """Send one message.

        Raises ChannelError when sending fails, DeveloperError for an unknown channel or a message of another service.
        """
        if not self._is_ours(job):
            # Do not use this service's channel of the same name: other people may read it.
            raise DeveloperError(
                f"An alert of the service {job.payload['service']!r} was not sent, because no worker of this service "
                "took it within a day."
            )
        name = job.payload["channel"]
        if name not in self._channels.urls:
            raise DeveloperError(f"An alert uses the channel {name!r}, which is not configured on this server.")
        # A message enqueued by an older version has no kind.
        kind = job.payload.get("kind", "info")
        await self._channels.send(name, job.payload["title"], job.payload["body"], kind=kind)


async def send_test(settings: Settings) -> dict[str, str | None]:
    """Send a test message to every channel. Return a dictionary from channel name to error; None means success.

    Raises ConfigurationError for an invalid rule or channel.
    """
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


def fires(rule: Rule, reading: Reading, limit: float | None, *, before: bool) -> bool:
    """Return whether a rule fires now.

    If there is no value, no limit or too few turns, the result is `before`: whether the rule fired until now. A rule
    that fires keeps firing while there are no turns, because a lack of traffic does not mean that the problem is over.
    But rules about the volume of traffic, about hosts and about refused requests recover even without turns.
    """
    if reading.value is None or limit is None or reading.turns < rule.at_least:
        return before
    if rule.broken_by(reading.value, limit):
        return True
    return before and reading.of_turns and not reading.turns and rule.metric not in VOLUMES


def _shown(rule: Rule, value: float | None) -> str:
    if value is None:
        return "no value in this period"
    if rule.metric.endswith("_rate") or rule.metric in SHARES:
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
