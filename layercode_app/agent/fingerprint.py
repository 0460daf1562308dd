"""Compute an agent's version: a short hash that changes with its prompt, tools, hooks, output or model."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from .._compat.pydantic_ai import system_prompts
from .instructions import instructions_of
from .models import given_model

_SOURCES: WeakKeyDictionary[object, str] = WeakKeyDictionary()
"""The source of each function. It is read only once: a later change of the file does not change the loaded function."""


class Declaration(Protocol):
    """The attributes of a voice agent that the hash is computed from."""

    name: str
    model_settings: dict[str, Any]
    hooks: dict[Any, list[Any]]
    agent: Any
    model: Any
    stages: Any


def fingerprint(voice: Declaration) -> str:
    """Return eight hexadecimal digits of a hash over the declaration of the agent.

    The declaration consists of the name, model, model settings, instructions, hooks, stages, function tools and output
    type.
    """
    digest = hashlib.sha256()
    for part in _parts(voice):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:8]


def _parts(voice: Declaration) -> Iterator[str]:
    yield voice.name
    yield repr(sorted(voice.model_settings.items()))
    for hooks in voice.hooks.values():
        yield from (_source(hook) for hook in hooks)
    for stage in voice.stages.by_name.values():
        yield f"{stage.name} {stage.following} {sorted(stage.own_names)}"
        yield from (_source(part) for part in (stage.instructions, stage.then, *stage.tools))
    agent = voice.agent
    if agent is None:
        return
    model = voice.model or given_model(agent)
    yield str(getattr(model, "model_name", model))
    yield str(agent.output_type)
    yield from (_source(part) for part in instructions_of(agent))
    yield from (_source(part) for part in system_prompts(agent) or ())
    for toolset in agent.toolsets:
        for name, tool in getattr(toolset, "tools", {}).items():
            yield name + _source(getattr(tool, "function", tool))


def _source(part: object) -> str:
    if isinstance(text := getattr(part, "content", part), str):
        return text
    inner = getattr(part, "function", part)
    try:
        return _SOURCES[inner]
    except (KeyError, TypeError):  # not read yet, or an object that cannot be a key
        source = _read_source(inner)
    with suppress(TypeError):
        _SOURCES[inner] = source
    return source


def _read_source(part: object) -> str:
    try:
        return inspect.getsource(part)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return getattr(part, "__qualname__", type(part).__name__)
