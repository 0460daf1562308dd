"""An agent's own stages: `turn.span(...)` times a part of the turn, and counts what the models in it used.

A request counts for every stage that is open around it, and once for the turn. What is open is known by context, so
that stages which run at the same time do not count each other's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from ..observability import spans
from .cost import cost_of, price_of
from .record import Stage

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue
    from pydantic_ai.messages import ModelResponse

    from .live import LiveTurn

MOST_STAGES = 100
"""So many of a turn are kept in the journal; a span in a loop has no end."""
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")

_open: ContextVar[tuple[Stage, ...]] = ContextVar("layercode_stages", default=())


@contextmanager
def staged(live: LiveTurn, name: str, attributes: Mapping[str, AttributeValue]) -> Iterator[Span]:
    """A stage of the turn, with a span where there are spans."""
    stage = Stage(name, live.elapsed_ms())
    if len(live.record.stages) < MOST_STAGES:
        live.record.stages.append(stage)
    with spans.span(name, attributes) as span:
        token = _open.set((*_open.get(), stage))
        try:
            yield span
        except BaseException as error:
            stage.status = "failed" if isinstance(error, Exception) else "cancelled"
            raise
        else:
            stage.status = "done"
        finally:
            _close(token)
            stage.ended_ms = live.elapsed_ms()
            span.set_attributes(_figures(stage))


def _close(token: Token[tuple[Stage, ...]]) -> None:
    try:
        _open.reset(token)
    except ValueError:
        return  # A generator that was left and is closed elsewhere: its context is gone as well.


def _figures(stage: Stage) -> dict[str, Any]:
    """What the span of a stage says of the model requests in it; nothing where there were none."""
    if not stage.usage:
        return {}
    known = cost_of(stage).known
    return {
        "layercode.stage.requests": stage.usage.get("requests", 0),
        "gen_ai.aggregated_usage.input_tokens": stage.usage.get("input_tokens", 0),
        "gen_ai.aggregated_usage.output_tokens": stage.usage.get("output_tokens", 0),
        "gen_ai.response.model": stage.model,
        **({} if known is None else {"layercode.stage.cost": known}),
    }


def count(live: LiveTurn, response: ModelResponse, *, cut: bool = False) -> None:
    """Count an answer of a helper's model for the open stages and the turn; one that was cut told no tokens."""
    if live.helpers is None:
        live.helpers = Stage("helpers", 0.0)
    price = None if cut else _price(response)
    for stage in (*_open.get(), live.helpers):
        if stage.ended_ms is None:
            _add(stage, response, price, cut)


def _price(response: ModelResponse) -> float | None:
    """Its price, which PydanticAI writes into it only after the model has handed it over."""
    known = price_of(response)
    if known is not None:
        return known
    try:
        return float(response.cost().total_price)
    except (AssertionError, LookupError, ValueError):
        return None


def _add(stage: Stage, response: ModelResponse, price: float | None, cut: bool) -> None:
    usage = stage.usage
    stage.model = response.model_name or stage.model
    usage["requests"] = usage.get("requests", 0) + 1
    for name in TOKENS:
        usage[name] = usage.get(name, 0) + getattr(response.usage, name)
    if price is not None:
        stage.cost = (stage.cost or 0.0) + price
    missing = "unknown_requests" if cut else "unpriced_requests"
    usage[missing] = usage.get(missing, 0) + (price is None)
