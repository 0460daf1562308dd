"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well as it could."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not looked at: it is not set up, or the network it needs is not there."""


@dataclass(frozen=True)
class Finding:
    """One line of the report; `mend` says what to do where something is to be done."""

    name: str
    state: State
    detail: str
    mend: str = ""


def ok(name: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(name, State.OK, detail)


def warning(name: str, detail: str, mend: str) -> Finding:
    """It could be better."""
    return Finding(name, State.WARNING, detail, mend)


def failed(name: str, detail: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(name, State.FAILED, detail, mend)


def skipped(name: str, detail: str, mend: str = "") -> Finding:
    """It was not looked at."""
    return Finding(name, State.SKIPPED, detail, mend)
