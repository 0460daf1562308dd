"""Custom stages: `turn.span(...)` times a part of the turn and sums the usage of its model requests.

A request counts towards every open stage in which it is made, and once towards the turn. The open stages are kept in a
context variable, so that concurrent stages do not count each other's requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from ..journal.cost import cost_of, price_of
from ..journal.model_usage import add_usage
from ..journal.record import HELPER, ModelCall, Stage
from ..observability import spans
from . import model_requests

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue
    from pydantic_ai.messages import ModelResponse

    from .live import LiveTurn

MOST_STAGES = 100
"""The maximum number of stages in a turn's record. Without this limit, a span in a loop could add thousands."""

_open: ContextVar[tuple[Stage, ...]] = ContextVar("layercode_stages", default=())


@contextmanager
def staged(live: LiveTurn, name: str, attributes: Mapping[str, AttributeValue]) -> Iterator[Span]:
    """Run the block as a stage of the turn, and as a span if tracing is on."""
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
        return  # An abandoned generator is closed in another context; its own context no longer exists.


def _figures(stage: Stage) -> dict[str, Any]:
    """Return the span attributes that sum up the model requests of a stage; empty if there were none."""
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
    """Record one request to a helper's model, whether it succeeds, fails or is cancelled."""
    opened = _open.get()
    call = model_requests.begin(live, model, stage=opened[-1].name if opened else HELPER)
    status: model_requests.Ending = "done"
    try:
        yield call
    except BaseException as error:
        status = "failed" if isinstance(error, Exception) else "cancelled"
        raise
    finally:
        model_requests.end(live, call, status)


def count(live: LiveTurn, call: ModelCall, response: ModelResponse, *, cut: bool = False) -> None:
    """Add the usage of a helper model's response to the open stages and the turn.

    `cut` marks a response that ended early: its price is unknown, and its token counts are missing or incomplete.
    """
    if live.run.helpers is None:
        live.run.helpers = Stage("helpers", 0.0)
    price = None if cut else _price(response)
    model_requests.used(call, response, price, cut=cut)
    for stage in (*_open.get(), live.run.helpers):
        if stage.ended_ms is None:
            _add(stage, call)
    if live.saving:
        write_down_helpers(live)
    if live.run.late_requests is not None:
        live.run.late_requests.append(call)


def write_down_helpers(live: LiveTurn) -> None:
    """Record the usage of helper agents if no run of the turn has recorded it.

    An example is a helper agent that an `on_message` hook runs.
    """
    helpers, live.run.helpers = live.run.helpers, None
    if helpers is not None:
        live.record.model = live.record.model or helpers.model
        add_usage(live.record, helpers.usage, helpers.cost)


def _price(response: ModelResponse) -> float | None:
    """Return the price in dollars, or None if it is unknown. Calculate it if PydanticAI has not set it yet."""
    known = price_of(response)
    if known is not None:
        return known
    try:
        return float(response.cost().total_price)
    except (AssertionError, LookupError, ValueError):
        return None


def _add(stage: Stage, call: ModelCall) -> None:
    stage.model = call.model
    add_usage(stage, call.usage, call.cost)
