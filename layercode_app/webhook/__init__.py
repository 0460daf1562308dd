"""Stage 1 of a request, from bytes to event: verify a webhook's signature and parse its body."""

from .events import (
    Data,
    Event,
    InterruptionContext,
    Message,
    SessionEnd,
    SessionStart,
    SessionUpdate,
    TranscriptEntry,
    TurnEvent,
    UnknownEvent,
    Welcome,
    parse_event,
)
from .signature import HEADER, TOLERANCE_SECONDS, sign, verify

__all__ = [
    "HEADER",
    "TOLERANCE_SECONDS",
    "Data",
    "Event",
    "InterruptionContext",
    "Message",
    "SessionEnd",
    "SessionStart",
    "SessionUpdate",
    "TranscriptEntry",
    "TurnEvent",
    "UnknownEvent",
    "Welcome",
    "parse_event",
    "sign",
    "verify",
]
