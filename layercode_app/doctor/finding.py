"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    """The checked part works, but not as well as it could."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """The part was not checked: it is not configured, or the check needs a network that is not available."""


@dataclass(frozen=True)
class Finding:
    """One line of the report. `fix` says how to fix the problem; it is empty if there is no problem."""

    name: str
    state: State
    detail: str
    fix: str = ""


def ok(name: str, detail: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(name, State.OK, detail)


def warning(name: str, detail: str, fix: str) -> Finding:
    """Return a finding of something that works, but not as well as it could."""
    return Finding(name, State.WARNING, detail, fix)


def failed(name: str, detail: str, fix: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(name, State.FAILED, detail, fix)


def skipped(name: str, detail: str, fix: str = "") -> Finding:
    """Return a finding of something that was not checked."""
    return Finding(name, State.SKIPPED, detail, fix)
