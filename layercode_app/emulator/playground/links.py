"""Link the steps of a waterfall to the model messages of the turn: a request to its response, a tool to its call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...journal.record import Json
from ...reports.steps import Step
from ...reports.waterfall import Waterfall


def linked(waterfall: Waterfall, messages: Sequence[Json]) -> dict[str, Json]:
    """Return the waterfall as JSON; `message` of a step is the index of its model message, or None."""
    found = waterfall.to_json()
    places = _places(waterfall.steps, messages)
    for step, place in zip(found["steps"], places, strict=True):
        step["message"] = place
    return found


def _places(steps: Sequence[Step], messages: Sequence[Json]) -> Iterator[int | None]:
    responses = iter([place for place, message in enumerate(messages) if message.get("kind") == "response"])
    calls = _calls(messages)
    for step in steps:
        if step.kind == "tool":
            yield calls.get(step.call_id)
        elif step.kind == "model" and step.status != "failed" and not step.lost:
            # Failed requests, and hedged requests that were too late, have no response. The others are in the order of
            # their responses.
            yield next(responses, None)
        else:
            yield None


def _calls(messages: Sequence[Json]) -> Mapping[str, int]:
    """Return the index of the message that made each tool call, by the call's id."""
    return {
        part["tool_call_id"]: place
        for place, message in enumerate(messages)
        for part in message.get("parts", ())
        if part.get("part_kind") == "tool-call" and "tool_call_id" in part
    }
