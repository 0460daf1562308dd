"""Parse the alert rules of `layercode.toml`: each has a condition, a window and channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..exceptions import ConfigurationError
from ..reports.report import seconds_of
from ..settings import Settings
from .channels import Channels
from .metrics import METRICS, REFUSALS, SYSTEM, Metric

SETTING = "LAYERCODE_ALERTS"
SHARES = [name for name in SYSTEM if name != "network"]
_CONDITION = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*(>=?|<=?)\s*(.+?)\s*")
_BASELINE = re.compile(r"(?:(\d+(?:\.\d+)?)\s*[x*]\s*)?baseline\(([^)]+)\)")
_NUMBER = re.compile(r"(\$)?(\d+(?:\.\d+)?)\s*(%|ms|s|k|M)?")
_SCALE = {"%": 0.01, "ms": 1, "s": 1000, "k": 1e3, "M": 1e6}
_FIELDS = {"name", "when", "window", "channels", "at_least", "agent", "severity"}
SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True)
class Rule:
    """An alert rule. `limit` is in the metric's unit (milliseconds, a share, dollars), or a multiple of a baseline."""

    name: str
    when: str
    metric: str
    of: str
    above: bool
    inclusive: bool
    limit: float
    window: float
    channels: tuple[str, ...]
    baseline: float | None = None
    """Seconds before the window that serve as the baseline; None for a fixed limit."""
    at_least: int = 0
    agent: str | None = None
    severity: str = "warning"

    @property
    def reader(self) -> Metric:
        """The metric that computes the rule's value."""
        return METRICS[self.metric]

    def broken_by(self, value: float, limit: float) -> bool:
        """Return whether a value is on the wrong side of the limit."""
        if self.inclusive and value == limit:
            return True
        return value > limit if self.above else value < limit


def rules_of(settings: Settings) -> tuple[Rule, ...]:
    """Return the rules of the settings. Raises ConfigurationError, which names the rule and its fault."""
    channels = Channels.of(settings)
    rules = tuple(_rule(given, number, channels) for number, given in enumerate(settings.alerts, 1))
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(name, "another rule has the same name")
    return rules


def _rule(given: Mapping[str, Any], number: int, channels: Channels) -> Rule:
    name = str(given.get("name") or f"number {number}")
    if unknown := given.keys() - _FIELDS:
        raise _wrong(
            name, f"unknown {', '.join(sorted(unknown))}; the fields of a rule are {', '.join(sorted(_FIELDS))}"
        )
    for needed in ("name", "when", "window", "channels"):
        if not given.get(needed):
            raise _wrong(name, f"{needed} is missing")
    metric, of, sign, text = _condition(name, str(given["when"]))
    for field in ("agent", "at_least"):
        if metric in {*SYSTEM, *REFUSALS} and given.get(field):
            raise _wrong(name, f"{field} is set, but {metric} is not a metric of turns. Remove {field}")
    window = seconds_of(str(given["window"]), f"The setting {SETTING}, rule {name!r}, window")
    if not window:
        raise _wrong(name, f"the window {given['window']!r} is empty; expected a duration such as 5m")
    limit, baseline = _limit(name, metric, text)
    asked = given["channels"]
    wanted = [asked] if isinstance(asked, str) else asked
    return Rule(
        name=name,
        when=str(given["when"]),
        metric=metric,
        of=of,
        above=sign.startswith(">"),
        inclusive="=" in sign,
        limit=limit,
        baseline=baseline,
        window=window,
        channels=tuple(channels.check(str(one), f"The setting {SETTING}, rule {name!r},") for one in wanted),
        at_least=_count(name, given.get("at_least", 0)),
        agent=str(given["agent"]) if given.get("agent") else None,
        severity=_severity(name, given.get("severity", "warning")),
    )


def _severity(name: str, value: Any) -> str:
    if value not in SEVERITIES:
        raise _wrong(name, f"severity is {value!r}; expected {', '.join(SEVERITIES)}")
    return str(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(name, f"at_least is {value!r}; expected a number of turns")
    return value


def _condition(name: str, when: str) -> tuple[str, str, str, str]:
    match = _CONDITION.fullmatch(when)
    if match is None:
        raise _wrong(
            name, f"{when!r} is not a condition; expected a condition such as error_rate > 5% or p95(ttfs) > 2s"
        )
    metric, of = match[1], (match[2] or "").strip()
    if metric == "count":
        # In count(orders, size = very large), remove the spaces around the comma and the equals sign, but no others.
        of = re.sub(r"\s*([,=])\s*", r"\1", of)
    if metric not in METRICS:
        raise _wrong(name, f"the metric {metric!r} is not known; expected one of {', '.join(sorted(METRICS))}")
    arguments = METRICS[metric].arguments
    if arguments is not None and of not in (arguments or ("",)):
        expected = ", ".join(filter(None, arguments)) or "nothing"
        raise _wrong(name, f"{metric}({of}): expected {expected} in the brackets")
    if metric == "count" and not re.fullmatch(r"[\w.-]+(,[\w.-]+=[^,=]+)?", of):
        raise _wrong(name, f"count({of}): expected a counter, such as count(orders) or count(orders, size=large)")
    return metric, of, match[3], match[4]


def _limit(name: str, metric: str, text: str) -> tuple[float, float | None]:
    if match := _BASELINE.fullmatch(text):
        return float(match[1] or 1), seconds_of(match[2], f"The setting {SETTING}, rule {name!r}, baseline")
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise _wrong(
            name, f"{text!r} is not a limit; expected a limit such as 5%, 2s, 300ms, 1M, $20 or 3 x baseline(7d)"
        )
    limit = float(match[2]) * _SCALE.get(match[3], 1)
    _check_unit(name, metric, text, f"{match[1] or ''}{match[3] or ''}", limit)
    return limit, None


def _check_unit(name: str, metric: str, text: str, unit: str, limit: float) -> None:
    """Raise ConfigurationError if the limit's unit does not suit the metric.

    Without this check, the metric would always or never exceed the limit.
    """
    if metric.startswith("p") and metric[1:].isdigit():
        if unit not in ("s", "ms"):
            raise _wrong(name, f"{text!r}: {metric} is a time; expected a limit such as 2s or 800ms")
    elif metric.endswith("_rate") or metric in SHARES:
        if unit not in ("", "%") or limit > 1:
            raise _wrong(name, f"{text!r}: {metric} is a share; expected a limit such as 5%")
    elif unit not in ("", "k", "M", *(("$",) if metric == "cost" else ())):
        expected = "$20" if metric == "cost" else "20 or 1M"
        raise _wrong(name, f"{text!r}: {metric} has no {unit}; expected a limit such as {expected}")


def _wrong(name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"The setting {SETTING} is wrong: rule {name!r}: {reason}.")
