"""Inspect an agent's dependency type. Find out if each turn must create an instance, and with which arguments."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from typing_extensions import is_protocol

from ..conversation.turn import Turn


@dataclass(frozen=True)
class Parameter:
    """A parameter of the constructor of the agent's dependencies, and whether it must be given."""

    name: str
    kind: str
    required: bool


def is_made(deps_type: Any) -> bool:
    """Return whether the agent has a dependency type other than `Turn`. Such an agent needs `deps=`."""
    return deps_type not in (None, NoneType, object, Any) and not is_turn(deps_type)


def is_turn(deps_type: Any) -> bool:
    """Return whether the dependency type is the toolkit's `Turn`."""
    return deps_type is Turn or get_origin(deps_type) is Turn


def models_of_turn(deps_type: Any) -> dict[str, type[BaseModel]]:
    """Return the models in `Turn[State, Metadata]`, keyed by the argument of VoiceAgent: `state` or `metadata`."""
    given = zip(("state", "metadata"), get_args(deps_type), strict=False)
    return {name: kind for name, kind in given if isinstance(kind, type) and issubclass(kind, BaseModel)}


def parameters(deps_type: Any) -> list[Parameter] | None:
    """Return the arguments that create an instance of the type; None if they cannot be inspected."""
    kind = get_origin(deps_type) or deps_type
    if not isinstance(kind, type) or kind.__module__ == "builtins" or is_protocol(kind):
        return None
    try:
        found = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [one for one in found if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    return [Parameter(one.name, _kind(one.annotation), one.default is one.empty) for one in named]


def _kind(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
