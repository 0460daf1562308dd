"""The limits of a check run, and the exceptions with which a check fails or is skipped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class FailedError(Exception):
    """The webhook failed the check; the message says what was wrong."""


class SkippedError(Exception):
    """The check could not be decided; the message says why."""


@dataclass(frozen=True)
class Limits:
    """The limits of a run: `timeout` in seconds, `max_ttfs` in milliseconds, and the number of concurrent callers."""

    timeout: float = 15.0
    max_ttfs: float = 1500.0
    callers: int = 10

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return asdict(self)
