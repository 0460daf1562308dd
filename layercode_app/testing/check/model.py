"""What a check is, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .probe import Probe

Severity = Literal["error", "warning"]
"""How bad a failed check is: calls break, or they may be worse than they need be."""
Body = Callable[["Probe"], Awaitable[None]]


class FailedError(Exception):
    """The webhook does not do what the check asks; the message says what it did instead."""


class SkippedError(Exception):
    """The check cannot tell; the message says why."""


@dataclass(frozen=True)
class Check:
    """One thing a webhook must do: why it matters, and how to mend it."""

    name: str
    title: str
    why: str
    mend: str
    body: Body
    severity: Severity = "error"

    @property
    def group(self) -> str:
        """The part of the protocol it belongs to."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Outcome:
    """What came of one check; `detail` says what failed, or why it was skipped. `died`: the webhook is gone."""

    check: Check
    status: Literal["passed", "failed", "skipped"]
    detail: str = ""
    seconds: float = 0.0
    died: bool = False

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        fields = {name: value for name, value in vars(self.check).items() if name != "body"}
        return fields | {
            "status": self.status,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "died": self.died,
        }


@dataclass
class Report:
    """All outcomes for one webhook."""

    url: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        """Those that failed."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def died(self) -> bool:
        """Whether the webhook died while it was checked."""
        return any(outcome.died for outcome in self.outcomes)

    def fails(self, on: Severity | Literal["never"]) -> bool:
        """Whether a check of this severity, or a worse one, failed; a webhook that died always fails."""
        if on == "never":
            return self.died
        return self.died or any(on == "warning" or outcome.check.severity == "error" for outcome in self.failed)

    @property
    def counts(self) -> dict[str, int]:
        """How many passed, failed and were skipped."""
        statuses = [outcome.status for outcome in self.outcomes]
        return {status: statuses.count(status) for status in ("passed", "failed", "skipped")}

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"url": self.url, "ok": not self.failed, **self.counts, "checks": [o.to_json() for o in self.outcomes]}


@dataclass(frozen=True)
class Limits:
    """What is asked of the webhook's speed and patience. Seconds, and milliseconds for speech."""

    timeout: float = 15.0
    max_ttfs: float = 1500.0
    callers: int = 10

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


ALL: list[Check] = []


def check(name: str, title: str, *, why: str, mend: str, severity: Severity = "error") -> Callable[[Body], Body]:
    """Make a function of the probe one of the checks; it raises FailedError or SkippedError, or all is well."""

    def register(body: Body) -> Body:
        ALL.append(Check(name, title, why, mend, body, severity))
        return body

    return register
