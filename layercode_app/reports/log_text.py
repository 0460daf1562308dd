"""Format the fields of a log line, such as a turn's tokens and cost, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..journal.cost import cost_of
from .log_lines import Line

SHOWN = ("time", "level", "message", "agent", "turn_id", "exception")
HIDDEN = {
    "logger",
    "line",
    "service",
    "version",
    "environment",
    "agent_version",
    "session_id",
    "conversation_id",
    "span_id",
    "pid",
}


USUAL = {"impact": "nothing"}
"""Values that are not shown, because they are the normal case."""


def details(line: Line) -> str:
    """Format the fields that are worth showing, as `name=value`."""
    fields = {name: value for name, value in line.items() if name not in SHOWN and name not in HIDDEN}
    return " ".join(f"{name}={value}" for name, value in _pairs(fields))


def _pairs(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if name == "usage" and isinstance(value, dict):
            yield from _used(fields, value)
        elif name == "cost" and isinstance(fields.get("usage"), dict):
            continue
        elif isinstance(value, dict):
            yield from ((f"{name}.{key}", text) for key, text in _pairs(value))
        elif value not in (None, "", [], ()) and USUAL.get(name) != value:
            yield name, _plain(value)


def _used(fields: Mapping[str, Any], usage: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the number of requests, the tokens and the cost as pairs of name and value, if a model was called."""
    if not usage.get("requests"):
        return
    yield "requests", str(usage["requests"])
    yield "tokens", f"{usage.get('input_tokens', 0)}+{usage.get('output_tokens', 0)}"
    if cached := usage.get("cache_read_tokens"):
        yield "cached", str(cached)
    cost = cost_of(_Priced(str(fields.get("model") or ""), usage, fields.get("cost")))
    yield "cost", _plain(str(cost))


class _Priced:
    """The attributes that `cost_of` reads, taken from a log line."""

    def __init__(self, model: str, usage: Mapping[str, int], cost: float | None) -> None:
        self.model = model
        self.usage = usage
        self.cost = cost


def _plain(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f'"{text}"' if " " in text else text
