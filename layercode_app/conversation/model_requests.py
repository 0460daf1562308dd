"""Write the model requests of a turn into its record when they begin and when they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..journal.model_usage import add_usage
from ..journal.record import ModelCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_ai.messages import ModelRequestAttempt, ModelResponse
    from pydantic_ai.usage import RequestUsage

    from .live import LiveTurn

MAX_REQUESTS = 100
"""The maximum number of rows for requests in a turn's record. A later request is added to its model's last row."""
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
Ending = Literal["done", "failed", "cancelled"]


def begin(live: LiveTurn, model: str, *, stage: str = "") -> ModelCall:
    """Record that a request to a model begins."""
    call = ModelCall(model, live.elapsed_ms(), stage=stage)
    if len(live.record.requests) < MAX_REQUESTS:
        live.record.requests.append(call)
    return call


def end(live: LiveTurn, call: ModelCall, status: Ending) -> None:
    """Record that a request has ended.

    If the record already has `MAX_REQUESTS` rows, add the request's usage to the last row with the same model instead.
    """
    call.status, call.ended_ms = status, live.elapsed_ms()
    kept = live.record.requests
    if len(kept) < MAX_REQUESTS or any(one is call for one in kept):
        return
    last = next((one for one in reversed(kept) if one.model == call.model), None)
    if last is None:
        kept.append(call)
    else:
        _merge(last, call)


def used(call: ModelCall, response: ModelResponse, price: float | None, *, cut: bool) -> None:
    """Record the model, finish reason, usage and price of a response.

    `cut` marks a response that ended early: its token counts are missing or incomplete.
    """
    call.model = response.model_name or call.model
    call.finish = response.finish_reason or ""
    _count(call, response.usage, price, cut=cut)


def _count(call: ModelCall, usage: RequestUsage, price: float | None, *, cut: bool = False) -> None:
    call.usage = {"requests": 1, "unpriced_requests": int(price is None and not cut)}
    if cut:
        call.usage["unknown_requests"] = 1
    call.usage |= {name: amount for name in TOKENS if (amount := getattr(usage, name))}
    # If the response was cut, this is the price of the tokens reported until then.
    call.cost = price


def insert_attempts(live: LiveTurn, call: ModelCall, attempts: Sequence[ModelRequestAttempt]) -> None:
    """Insert a row for each failed attempt of a fallback chain, before `call`, which is the row of the last attempt."""
    place = next((i for i, one in enumerate(live.record.requests) if one is call), None)
    for number, attempt in enumerate(attempts):
        ended = call.started_ms + attempt.duration.total_seconds() * 1000
        row = ModelCall(attempt.model_name, call.started_ms, ended_ms=ended, status="failed")
        if (usage := attempt.usage) is not None:
            _count(row, usage, None if usage.cost is None else float(usage.cost))
        if place is not None:
            live.record.requests.insert(place + number, row)
        call.started_ms = ended


@dataclass(frozen=True, slots=True)
class Hedge:
    """What happened when a request was hedged, that is, sent twice. Times are seconds of the event loop's clock."""

    model: str
    """The model of the second request."""
    other: str
    """The model of the request that lost."""
    sent: float
    """When the second request was sent."""
    won: bool
    """Whether the second request answered first."""
    failed: bool
    """Whether the request that lost had failed."""
    ended: float
    """When the request that lost ended."""


def insert_hedge(live: LiveTurn, hedge: Hedge, now: float) -> None:
    """Add a row for the losing request of a hedge.

    In a hedge, a slow request is sent a second time, and the answer that begins first is used. The request that did not
    give this answer has lost. If neither request was answered, the second one has lost.

    The rows of the two requests are in the order in which the requests were sent. If the losing request was cancelled,
    its tokens count as unknown: they cost money, but the provider did not report them.
    """
    call = live.run.request
    if call is None:
        return
    elapsed = live.elapsed_ms()
    sent, ended = (elapsed - (now - at) * 1000 for at in (hedge.sent, hedge.ended))
    row = ModelCall(hedge.other, call.started_ms if hedge.won else sent, ended_ms=ended, status="failed")
    if not hedge.failed:
        row.status, row.usage = "cancelled", {"requests": 1, "unpriced_requests": 0, "unknown_requests": 1}
    if hedge.won:
        call.started_ms, call.hedge, call.model, row.hedge = sent, "won", hedge.model, "slow"
    else:
        row.hedge = "lost"
    _insert(live, row, call, after=not hedge.won)
    add_usage(live.record, row.usage, None)


def _insert(live: LiveTurn, row: ModelCall, call: ModelCall, *, after: bool) -> None:
    place = next((i for i, one in enumerate(live.record.requests) if one is call), None)
    if place is not None:
        live.record.requests.insert(place + after, row)


def _merge(row: ModelCall, call: ModelCall) -> None:
    add_usage(row, call.usage, call.cost)
    row.ended_ms = call.ended_ms
