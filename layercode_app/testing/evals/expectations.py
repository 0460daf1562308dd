"""Compare one turn with its expectation, and report each difference."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...journal.record import Status
from ..turn import Called, HeardTurn, is_part, shown_error
from .scenario import Expectation


def failures(turn: HeardTurn, expected: Expectation) -> list[str]:
    """Return the failed expectations with their expected and actual values, and why the turn failed, if it did."""
    return [*_words(turn, expected), *failed(turn), *_deeds(turn, expected)]


def failed(turn: HeardTurn) -> Iterator[str]:
    """Yield why the turn failed, if it did. The exception itself is known only if the agent ran in this process."""
    if turn.error is not None:
        yield f"the turn failed: {shown_error(turn.error)}"
    elif turn.record is not None and turn.record.status is Status.FAILED:
        yield f"the turn failed: {turn.record.error}"


def _words(turn: HeardTurn, expected: Expectation) -> Iterator[str]:
    spoken = turn.spoken
    for text in expected.contains:
        if text.lower() not in spoken.lower():
            yield f"expected to hear {text!r}, heard {spoken!r}"
    for text in expected.absent:
        if text.lower() in spoken.lower():
            yield f"expected not to hear {text!r}, heard {spoken!r}"
    for pattern in expected.matches:
        if not re.search(pattern, spoken, re.IGNORECASE):
            yield f"expected to hear a match of /{pattern}/, heard {spoken!r}"


def _deeds(turn: HeardTurn, expected: Expectation) -> Iterator[str]:
    if expected.tools is not None:
        wanted = [Called(call) if isinstance(call, str) else Called(call.name, **call.args) for call in expected.tools]
        if not wanted and turn.tools:
            yield f"expected no tool calls, got {turn.tools!r}"
        elif not turn.tools.include(*wanted):
            yield f"expected the tool calls {wanted!r}, got {turn.tools!r}"
    for part in expected.data:
        if not any(is_part(part, content) for content in turn.data):
            yield f"expected {part!r} in the data for the browser, got {turn.data!r}"
    if expected.within_ms is not None and (turn.ttfs is None or turn.ttfs > expected.within_ms):
        came = "nothing was spoken" if turn.ttfs is None else f"it began after {turn.ttfs:.0f} ms"
        yield f"expected first speech within {expected.within_ms:g} ms, {came}"
    if expected.hangup is not None and turn.hangup is not expected.hangup:
        yield f"expected {'the agent to hang up, but the call continued' if expected.hangup else 'the call to continue, but the agent hung up'}"
