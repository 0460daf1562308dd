"""What a turn used, into its record: messages, tokens and cost of its run, and of the helpers that were asked in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_ai.messages import ModelResponse

from ..conversation.cost import price_of
from ..conversation.record import Stage, TurnRecord
from ..conversation.turn import Turn
from .plain_messages import dump_messages

COUNTED = ("requests", "tool_calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
UNKNOWN = ("unpriced_requests", "unknown_requests")


def write_down(running: Any, turn: Turn[Any, Any]) -> None:
    """Messages, usage and cost of a run, also of one that was cut."""
    record, usage, messages = turn.record, running.usage, running.new_messages()
    record.messages = dump_messages(messages)
    responses = [message for message in messages if message.kind == "response"]
    prices = [price_of(response) for response in responses if response.state != "interrupted"]
    known = [price for price in prices if price is not None]
    counted = {name: getattr(usage, name) for name in COUNTED}
    counted["unpriced_requests"] = len(prices) - len(known)
    cost = float(usage.cost) if usage.cost is not None else sum(known) if known else None
    if turn.live.helpers is not None:
        helpers, turn.live.helpers = turn.live.helpers, None
        cost = _with_helpers(helpers, responses, counted, sum(known), cost)
    _note_fallbacks(turn, responses)
    if responses:
        record.model = responses[-1].model_name or record.model
        if responses[-1].state == "interrupted":
            counted["unknown_requests"] = counted.get("unknown_requests", 0) + 1
    _add(record, counted, cost)


def _note_fallbacks(turn: Turn[Any, Any], responses: Sequence[ModelResponse]) -> None:
    """A model that failed was recovered from by asking the next one, as a retry recovers by asking again."""
    for response in responses:
        failed = [attempt.model_name for attempt in response.failed_attempts or ()]
        if failed:
            turn.record.retries += len(failed)
            turn.log.warning("{} failed, and {} answered in its place", ", ".join(failed), response.model_name)


def _with_helpers(
    helpers: Stage, responses: Sequence[ModelResponse], counted: dict[str, int], own_cost: float, cost: float | None
) -> float | None:
    """Count the helpers once, whether or not they were run with `usage=ctx.usage`; the cost of both."""
    for name in COUNTED:
        own = len(responses) if name == "requests" else sum(getattr(one.usage, name, 0) for one in responses)
        counted[name] = max(counted[name], own + helpers.usage.get(name, 0))
    for name in UNKNOWN:
        counted[name] = counted.get(name, 0) + helpers.usage.get(name, 0)
    return cost if helpers.cost is None else max(cost or 0.0, own_cost + helpers.cost)


def write_down_helpers(turn: Turn[Any, Any]) -> None:
    """What helpers used in a turn that no run of its own has told of, such as one that `on_message` answers."""
    helpers, turn.live.helpers = turn.live.helpers, None
    if helpers is not None:
        _add(turn.record, helpers.usage, helpers.cost)
        turn.record.model = turn.record.model or helpers.model


def _add(record: TurnRecord, counted: Mapping[str, int], cost: float | None) -> None:
    for name, amount in counted.items():
        record.usage[name] = record.usage.get(name, 0) + amount
    if cost is not None:
        record.cost = (record.cost or 0.0) + cost
