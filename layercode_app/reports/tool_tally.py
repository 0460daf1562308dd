"""Tally the tools for a report: calls, durations, failures, and the cost of the model requests after their results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..journal.cost import Cost, cost_of, price_of
from ..journal.record import Json, ModelCall, ToolCall, TurnRecord
from .parts import PartTally

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

ANSWER = "(no tool)"
"""The key of model requests that follow no tool result, such as the first of a turn."""
RETRY = "(retry)"
"""The key of model requests that ask again because the previous answer could not be used."""
INSIDE = "(inside tools)"
"""The key of model requests made inside tools, such as those of an agent that a tool calls."""


@dataclass
class ToolTally(PartTally):
    """The tally of one tool."""

    tokens: int = 0

    def as_json(self) -> Json:
        """Return the tally as JSON."""
        return self.json_of("calls", tokens=self.tokens)


class Tools:
    """The tallies of tools, by name.

    A model request counts for the tool whose result it sends. Other requests have the key ANSWER, RETRY or INSIDE.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, ToolTally] = {}

    def add(self, record: TurnRecord) -> None:
        """Count the tools of a turn. Tokens and cost are counted only if the record has its messages."""
        for call in record.tools:
            self._of(call.name).time(call)
        for led_by, tokens, cost in requests(record):
            tally = self._of(led_by)
            tally.requests += 1
            tally.tokens += tokens
            tally.cost += cost

    def _of(self, name: str) -> ToolTally:
        return self.by_name.setdefault(name, ToolTally(name))


def requests(record: TurnRecord) -> Iterator[tuple[str, int, Cost]]:
    """Yield a key, the tokens and the cost for each model request of a turn.

    The key names the tools whose results the request sends to the model. If it sends none, the key is ANSWER or RETRY.
    The requests made inside tools are added up, and yielded once with the key INSIDE.
    """
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    messages = ModelMessagesTypeAdapter.validate_json(record.messages) if record.messages else []
    seen, seen_cost = 0, Cost()
    for led_by, response in _responses(messages):
        tokens, price = response.usage.input_tokens + response.usage.output_tokens, price_of(response)
        cost = Cost(price or 0.0, int(price is None))
        yield led_by, tokens, cost
        seen, seen_cost = seen + tokens, seen_cost + cost
    outside = [call for call in record.requests if call.stage and not _inside_a_tool(call, record.tools)]
    for call in outside:
        seen, seen_cost = seen + _tokens(call.usage), seen_cost + cost_of(call)
    rest = _tokens(record.usage) - seen
    if messages and record.tools and rest > 0:
        whole = cost_of(record)
        unknown = max(whole.unknown - seen_cost.unknown, 0)
        yield INSIDE, rest, Cost(max(whole.amount - seen_cost.amount, 0.0), unknown)


def _tokens(usage: Mapping[str, int]) -> int:
    return usage.get("input_tokens", 0) + usage.get("output_tokens", 0)


def _inside_a_tool(call: ModelCall, tools: Iterable[ToolCall]) -> bool:
    """Return whether a tool was running when the request began. Requests of guards and hooks belong to no tool."""
    return any(tool.started_ms <= call.started_ms <= (tool.ended_ms or call.started_ms) for tool in tools)


def _responses(messages: list[ModelMessage]) -> Iterator[tuple[str, ModelResponse]]:
    from pydantic_ai.messages import ModelResponse, RetryFeedbackPart, ToolReturnPart

    led_by = ANSWER
    for message in messages:
        if isinstance(message, ModelResponse):
            yield led_by, message
            continue
        tools = {part.tool_name for part in message.parts if isinstance(part, ToolReturnPart)}
        again = {RETRY} if any(isinstance(part, RetryFeedbackPart) for part in message.parts) else set()
        led_by = " + ".join(sorted(tools | again)) or ANSWER
