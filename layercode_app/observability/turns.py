"""Report a turn to every sink: one canonical log line, span attributes and metrics, from the journal's figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

import orjson
from loguru import logger

from ..journal.crashed_turn import marked_as_crashed
from ..journal.record import TurnRecord
from . import context, debug_run, metrics, request_spans, spans
from .logs import write_turn


class Asking(Protocol):
    """The event attributes that this module reads."""

    @property
    def type(self) -> str:
        """The type of the event, such as "message"."""

    @property
    def conversation_id(self) -> str:
        """The id of the conversation, to which the history belongs."""

    @property
    def session_id(self) -> str:
        """The id of the session: one connection of the conversation."""


def running(
    agent: str, event: Asking, *, received: float, verified: float, turn_id: str | None
) -> AbstractContextManager[Any]:
    """Open the span of an event. It lasts from the request to the last byte of the response.

    During this time, a turn counts as active. It counts once, even if this process receives it twice.
    """

    def attributes() -> Mapping[str, str]:
        return {
            "gen_ai.conversation.id": event.conversation_id,
            "gen_ai.agent.name": agent,
            "layercode.session.id": event.session_id,
            "layercode.event.type": event.type[:64],
            "layercode.turn.id": turn_id or "",
        }

    if debug_run.verbose:
        logger.debug("Webhook {} for {}", event.type, agent)
    name = f"turn {agent}" if turn_id else f"event {event.type[:64]}"
    span = request_spans.request(name, attributes, received=received, verified=verified)
    return _Counted(agent, (event.conversation_id, turn_id), span) if turn_id and metrics.on() else span


_open: Counter[tuple[str, str]] = Counter()
"""The number of open deliveries of each active turn."""


class _Counted:
    """Counts a turn as active while a span of it is open. This class costs a third of what a generator would cost."""

    __slots__ = ("_agent", "_key", "_span")

    def __init__(self, agent: str, key: tuple[str, str], span: AbstractContextManager[Any]) -> None:
        self._agent = agent
        self._key = key
        self._span = span

    def __enter__(self) -> None:
        _open[self._key] += 1
        if _open[self._key] == 1:
            metrics.add(metrics.ACTIVE, 1, self._agent)
        self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _open[self._key] -= 1
        if not _open[self._key]:
            del _open[self._key]
            metrics.add(metrics.ACTIVE, -1, self._agent)
        self._span.__exit__(kind, error, trace)


def turn_finished(record: TurnRecord) -> None:
    """Report an ended turn to every sink."""
    if debug_run.verbose:
        debug_run.log_messages(record.messages)
    log_line(record)
    if spans.recording():
        spans.annotate(_attributes(record))
    metrics.record_turn(record)


def data_finished(record: TurnRecord) -> None:
    """Report the usage of a data event to the sinks. It is not counted as a turn."""
    if spans.recording():
        spans.annotate(_attributes(record))
    metrics.record_usage(record)


def log_line(record: TurnRecord) -> None:
    """Write the canonical log line of a turn that ended."""
    timings, status = record.timings, str(record.status)
    total, ttfs = timings.get("total"), timings.get("ttfs")
    fields = {
        "event": "turn",
        "kind": str(record.kind),
        "status": status,
        "ttfs_ms": ttfs,
        "ttft_ms": timings.get("ttft"),
        "total_ms": total,
        "tools": len(record.tools),
        "model": record.model,
        "usage": record.usage,
        "cost": record.cost,
        **_some(record),
        "error": record.error_category,
        "impact": record.impact,
        "agent_version": record.fingerprint,
    }
    foreign = "\n".join((record.model, str(record.error_category), record.error_detail, *fields.get("models", ())))
    if (request := context.request.get()) is not None:
        foreign += _add_request(fields, request)
    end = "its worker died" if marked_as_crashed(record) else _first_speech(ttfs)
    write_turn(f"turn {status}{_took(total)}, {end}", fields, foreign)


def _took(total: float | None) -> str:
    return "" if total is None else f" in {total:.0f} ms"


def _first_speech(ttfs: float | None) -> str:
    return "nothing was said" if ttfs is None else f"first speech after {ttfs:.0f} ms"


def _some(record: TurnRecord) -> dict[str, Any]:
    """Return the fields that few turns have, such as an error's detail, or the usage of each of several models."""
    found: dict[str, Any] = {"error_detail": record.error_detail} if record.error_detail else {}
    if record.at_stage:
        found["stage"] = record.at_stage
    if record.handed_to:
        found["handed_to"] = record.handed_to
    if (hedges := record.hedges)[0]:
        found["hedges"], found["hedges_won"] = hedges
    if len(record.requests) > 1 and len(shares := record.shares) > 1:
        found["models"] = {share.model: {"usage": share.usage, "cost": share.cost} for share in shares}
    return found


def _add_request(fields: dict[str, Any], request: context.Request) -> str:
    """Add the fields of the turn's HTTP request. Return their values as one text, to be checked for secrets."""
    # The request needs no separate log line.
    request.logged = True
    fields["method"], fields["path"], fields["http_status"] = request.method, request.path, request.status
    if not request.headers:
        return f"\n{request.method}\n{request.path}"
    fields["headers"] = request.headers
    return f"\n{request.method}\n{request.path}\n{orjson.dumps(request.headers).decode()}"


def _attributes(record: TurnRecord) -> Mapping[str, Any]:
    timings, usage, hedges = record.timings, record.usage, record.hedges
    found = {
        "layercode.turn.kind": str(record.kind),
        "layercode.turn.status": str(record.status),
        "layercode.turn.impact": record.impact,
        "layercode.turn.interrupted": str(record.status) in ("interrupted", "superseded"),
        "layercode.turn.ttfs_ms": timings.get("ttfs"),
        "layercode.turn.ttft_ms": timings.get("ttft"),
        "layercode.turn.total_ms": timings.get("total"),
        "layercode.turn.tools": len(record.tools),
        "layercode.turn.retries": record.retries,
        "layercode.turn.hedges": hedges[0] or None,
        "layercode.turn.hedges_won": hedges[1] if hedges[0] else None,
        "layercode.turn.validation_retries": usage.get("validation_retries", 0),
        "layercode.agent.version": record.fingerprint,
        "layercode.turn.stage": record.at_stage or None,
        "layercode.turn.handed_to": record.handed_to or None,
        "layercode.error.category": record.error_category,
        "layercode.error.detail": record.error_detail or None,
        "gen_ai.response.model": record.model or None,
        "gen_ai.aggregated_usage.input_tokens": usage.get("input_tokens"),
        "gen_ai.aggregated_usage.output_tokens": usage.get("output_tokens"),
        "layercode.turn.cost": record.cost,
        "layercode.turn.models": ", ".join(share.model for share in record.shares) or None,
    }
    return {name: value for name, value in found.items() if value is not None}
