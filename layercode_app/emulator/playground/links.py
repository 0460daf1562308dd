"""Prepare a waterfall for the dev page: its rows of bars, and links from the steps to the turn's model messages.

A request is linked to its response, and a tool to its call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from ...journal.record import Json
from ...reports.steps import Step
from ...reports.waterfall import Waterfall
from ...reports.waterfall_rows import marks_of, rows_of


def linked(waterfall: Waterfall, messages: Sequence[Json]) -> dict[str, Json]:
    """Return the waterfall as JSON, with its rows and marks.

    Each step gets a field `message`: the index of its model message in `messages`, or None. The rows of the steps come
    first, then the rows of the speech.
    """
    found = waterfall.to_json()
    places = _places(waterfall.steps, messages)
    for step, place in zip(found["steps"], places, strict=True):
        step["message"] = place
    found["rows"] = [asdict(row) for row in rows_of(waterfall)]
    found["marks"] = [asdict(mark) for mark in marks_of(waterfall)]
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
    """Map the id of each tool call to the index of the message that made the call."""
    return {
        part["tool_call_id"]: place
        for place, message in enumerate(messages)
        for part in message.get("parts", ())
        if part.get("part_kind") == "tool-call" and "tool_call_id" in part
    }
