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
from . import requests
from .cost import cost_of, price_of
from .record import HELPER, ModelCall, Stage

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue
    from pydantic_ai.messages import ModelResponse

    from .live import LiveTurn

MOST_STAGES = 100
"""So many of a turn are kept in the journal; a span in a loop has no end."""

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


@contextmanager
def requesting(live: LiveTurn, model: str) -> Iterator[ModelCall]:
    """Write one request of a helper's model into the record, however it ends."""
    opened = _open.get()
    call = requests.begin(live, model, stage=opened[-1].name if opened else HELPER)
    status: requests.Ending = "done"
    try:
        yield call
    except BaseException as error:
        status = "failed" if isinstance(error, Exception) else "cancelled"
        raise
    finally:
        requests.end(live, call, status)


def count(live: LiveTurn, call: ModelCall, response: ModelResponse, *, cut: bool = False) -> None:
    """Count an answer of a helper's model for the open stages and the turn; one that was cut told no tokens."""
    if live.helpers is None:
        live.helpers = Stage("helpers", 0.0)
    price = None if cut else _price(response)
    requests.used(call, response, price, cut=cut)
    for stage in (*_open.get(), live.helpers):
        if stage.ended_ms is None:
            _add(stage, call)


def _price(response: ModelResponse) -> float | None:
    """Its price, which PydanticAI writes into it only after the model has handed it over."""
    known = price_of(response)
    if known is not None:
        return known
    try:
        return float(response.cost().total_price)
    except (AssertionError, LookupError, ValueError):
        return None


def _add(stage: Stage, call: ModelCall) -> None:
    stage.model = call.model
    for name, amount in call.usage.items():
        stage.usage[name] = stage.usage.get(name, 0) + amount
    if call.cost is not None:
        stage.cost = (stage.cost or 0.0) + call.cost
