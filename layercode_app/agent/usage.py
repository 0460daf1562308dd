"""Write a turn's usage into its record: the messages, tokens and cost of the run, and the usage of helper agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_ai.messages import ModelRequestAttempt, ModelResponse

from ..conversation import model_requests
from ..conversation.turn import Turn
from ..journal.cost import price_of
from ..journal.model_usage import add_usage
from ..journal.record import ModelCall, Stage
from .plain_messages import dump_messages

COUNTED = ("requests", "tool_calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
UNKNOWN = ("unpriced_requests", "unknown_requests")


@contextmanager
def requesting(running: Any, turn: Turn[Any, Any], responses: list[ModelResponse]) -> Iterator[None]:
    """Record one model request of a run, even if it fails or is cancelled. Append its response to `responses`, if any."""
    live, before = turn.live, _last_message(running)
    began_as = getattr(turn.model, "model_name", "")
    call = live.run.request = model_requests.begin(live, began_as)
    live.run.repeats = 0
    status: model_requests.Ending = "done"
    try:
        yield
    except BaseException as error:
        status = "failed" if isinstance(error, Exception) else "cancelled"
        _note_attempts(turn, call, getattr(error, "attempts", ()), all_failed=True)
        raise
    finally:
        last = _last_message(running)
        response = last if last is not before and isinstance(last, ModelResponse) else None
        responses += [response] if response else []
        _describe(turn, call, response, named=call.model != began_as)
        model_requests.end(live, call, status)
        live.run.request = None


def _last_message(running: Any) -> Any:
    """Return the last message of a run, or None.

    After a request, the last message is its response. The number of messages does not show which messages are new,
    because a capability, such as ProcessHistory, may remove earlier messages before each request.
    """
    history = running.ctx.state.message_history
    return history[-1] if history else None


def _describe(turn: Turn[Any, Any], call: ModelCall, response: ModelResponse | None, *, named: bool) -> None:
    """Fill in the model and usage of a request. `response` is None if the request had no response.

    `named` means that the request's model is already filled in, for example because the agent selected it.
    """
    before = [one.model for one in turn.record.requests if not one.stage and one.status == "done"]
    if before and not named:
        # A response that was cut before its first token does not name its model, so start with the last known model.
        call.model = before[-1]
    if response is not None:
        cut = response.state == "interrupted"
        model_requests.used(call, response, price_of(response), cut=cut)
        _note_attempts(turn, call, response.failed_attempts or ())


def _note_attempts(
    turn: Turn[Any, Any], call: ModelCall, attempts: Sequence[ModelRequestAttempt], *, all_failed: bool = False
) -> None:
    """Record each failed attempt of a request, for example of a fallback chain, as a request.

    If a later model answered, the failed attempts are counted as retries. If all models failed, the last attempt is not
    added, because `call` already records it.
    """
    # A nested fallback chain that failed is also listed as an attempt, in addition to the attempts of its models.
    attempts = [attempt for attempt in attempts if not attempt.model_name.startswith("fallback:")]
    if not attempts:
        return
    if all_failed:
        model_requests.insert_attempts(turn.live, call, attempts[:-1])
        call.model = attempts[-1].model_name
        return
    model_requests.insert_attempts(turn.live, call, attempts)
    turn.record.retries += len(attempts) - turn.live.run.repeats
    if others := [attempt.model_name for attempt in attempts if attempt.model_name != call.model]:
        turn.log.warning("{} failed, and {} answered instead", ", ".join(others), call.model)


def write_down(
    running: Any, turn: Turn[Any, Any], responses: Sequence[ModelResponse], lead: Sequence[Any] = ()
) -> None:
    """Write the messages, usage and cost of a run into the record, even if the run was interrupted.

    `responses` holds all responses of the run, and `lead` the turn's messages from before the run.
    """
    record, usage, messages = turn.record, running.usage, running.new_messages()
    prices = [price_of(response) for response in responses if response.state != "interrupted"]
    known = [price for price in prices if price is not None]
    cut = len(responses) - len(prices)
    counted = {name: getattr(usage, name) for name in COUNTED}
    counted["unpriced_requests"] = len(prices) - len(known)
    if cut:
        # PydanticAI does not count a request that was cut before its first token.
        counted["requests"] = max(counted["requests"], len(responses))
        counted["unknown_requests"] = cut
    cost = float(usage.cost) if usage.cost is not None else sum(known) if known else None
    if turn.live.run.helpers is not None:
        helpers, turn.live.run.helpers = turn.live.run.helpers, None
        cost = _with_helpers(helpers, responses, counted, sum(known), cost)
    if again := sum(_sent_back(part) for message in messages for part in message.parts):
        counted["validation_retries"] = again
    record.model = next((call.model for call in reversed(record.requests) if call.answers), record.model)
    add_usage(record, counted, cost)
    record.messages = dump_messages([*lead, *messages])


def _sent_back(part: Any) -> bool:
    """Return whether this part of a message asks the model to try again, after an error in a tool or a validator."""
    # `retry-prompt` is the deprecated name of `retry-feedback`.
    return part.part_kind in ("retry-feedback", "retry-prompt") or getattr(part, "outcome", "") == "retried"


def _with_helpers(
    helpers: Stage, responses: Sequence[ModelResponse], counted: dict[str, int], own_cost: float, cost: float | None
) -> float | None:
    """Add the usage of helper agents to `counted`, and return the total cost.

    Each helper is counted once. If a helper was run with `usage=ctx.usage`, its usage is already part of the run's
    usage, and is not added again.
    """
    for name in COUNTED:
        own = len(responses) if name == "requests" else sum(getattr(one.usage, name, 0) for one in responses)
        counted[name] = max(counted[name], own + helpers.usage.get(name, 0))
    for name in UNKNOWN:
        counted[name] = counted.get(name, 0) + helpers.usage.get(name, 0)
    return cost if helpers.cost is None else max(cost or 0.0, own_cost + helpers.cost)
