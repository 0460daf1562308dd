"""Checks, their outcomes, and the report of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from .probe import Probe

Severity = Literal["error", "warning"]
"""The severity of a failed check: an error breaks calls; a warning may make them worse than necessary."""
Body = Callable[[Probe], Awaitable[None]]


@dataclass(frozen=True)
class Check:
    """One requirement for a webhook: why it matters, and how to fix a webhook that fails it."""

    name: str
    title: str
    why: str
    fix: str
    body: Body
    severity: Severity = "error"

    @property
    def group(self) -> str:
        """The part of the protocol that the check belongs to."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    `detail` says what failed or why the check was skipped. `died` is true if the webhook died.
    """

    check: Check
    status: Literal["passed", "failed", "skipped"]
    detail: str = ""
    seconds: float = 0.0
    died: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        fields = {name: value for name, value in vars(self.check).items() if name != "body"}
        return fields | {
            "status": self.status,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "died": self.died,
        }


@dataclass
class Report:
    """The outcomes of all checks of one webhook."""

    url: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes of the failed checks."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def died(self) -> bool:
        """Whether the webhook died during the checks."""
        return any(outcome.died for outcome in self.outcomes)

    def fails(self, on: Severity | Literal["never"]) -> bool:
        """Return whether the webhook fails: it died, or it failed a check whose severity is at least `on`.

        If `on` is "never", it fails only if it died.
        """
        if on == "never":
            return self.died
        return self.died or any(on == "warning" or outcome.check.severity == "error" for outcome in self.failed)

    @property
    def counts(self) -> dict[str, int]:
        """The number of passed, failed and skipped checks."""
        statuses = [outcome.status for outcome in self.outcomes]
        return {status: statuses.count(status) for status in ("passed", "failed", "skipped")}

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {"url": self.url, "ok": not self.failed, **self.counts, "checks": [o.to_json() for o in self.outcomes]}


ALL: list[Check] = []


def check(name: str, title: str, *, why: str, fix: str, severity: Severity = "error") -> Callable[[Body], Body]:
    """Register a function as a check.

    The function gets the probe as its argument. The function raises FailedError if the webhook fails the check, or
    SkippedError if the check cannot decide.
    """

    def register(body: Body) -> Body:
        ALL.append(Check(name, title, why, fix, body, severity))
        return body

    return register
